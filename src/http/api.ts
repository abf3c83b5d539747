import type { Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { idText, parseRequest } from "../ledger/fields.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Operation, Outcome } from "../ledger/operation.ts";
import { refusalError } from "../ledger/refusal.ts";
import type { WriteOptions } from "../ledger/request.ts";
import type { Logger } from "../log.ts";
import { sendError, sendFailure } from "./answer.ts";
import { idempotencyKey, ifMatchVersion, refuseOtherConditions } from "./headers.ts";

/** What the routes stand on. */
export interface Api {
  readonly ledger: Ledger;
  readonly log: Logger;
  readonly bodyBytesMax: number;
  /** Null when the server can do its work, otherwise why it cannot. */
  readonly notReady: () => Promise<string | null>;
}

/** @throws BalancectlError INVALID_REQUEST */
export function pathId(req: Request, name = "userId"): number {
  return parseRequest(idText, req.params[name], `path: ${name}`);
}

const noParameters = z.strictObject({});

/** For a route without parameters in its query. @throws BalancectlError INVALID_REQUEST that names those given */
export function refuseQuery(req: Request): void {
  if (req.url.includes("?")) parseRequest(noParameters, req.query, "query");
}

/**
 * What a write carries in its headers and, as `context`, in its body.
 * @throws BalancectlError INVALID_REQUEST, PRECONDITION_FAILED
 */
export function writeOptions(
  req: Request,
  context: WriteOptions,
  /** What it makes must not exist, whatever the headers say: If-None-Match: * asks for no more. */
  { creates = false } = {},
): WriteOptions {
  refuseQuery(req);
  if (!creates || req.headers["if-none-match"] !== "*") refuseOtherConditions(req);
  const key = idempotencyKey(req);
  const version = ifMatchVersion(req);
  if (key === undefined && version === undefined) return context;
  return { ...context, idempotencyKey: key, ifVersion: version };
}

/** Answers a refusal; true when there was one. A replay says so in a header. */
export function answeredRefusal(res: Response, operation: Operation, outcome: Outcome): boolean {
  if (outcome.replayed) res.setHeader("Idempotent-Replayed", "true");
  if (outcome.refusal === null) return false;
  sendFailure(res, refusalError(outcome.refusal, operation));
  return true;
}

export function methodNotAllowed(allow: string): RequestHandler {
  return (req, res) => {
    const message = `${req.method} is not possible here; possible: ${allow}`;
    sendError(res, "METHOD_NOT_ALLOWED", message, { Allow: allow });
  };
}
