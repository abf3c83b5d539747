import type { Express, Request, Response } from "express";
import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import {
  idNumber,
  lifetimeSeconds,
  pageLimit,
  parseRequest,
  positiveAmount,
  uuidText,
  writeFields,
} from "../../ledger/fields.ts";
import { holdView, newHoldView } from "../../ledger/holds.ts";
import type { Operation } from "../../ledger/operation.ts";
import { capture, hold, voidHold } from "../../ledger/request.ts";
import { sendData, sendError } from "../answer.ts";
import {
  type Api,
  answeredRefusal,
  methodNotAllowed,
  pathId,
  refuseQuery,
  writeOptions,
} from "../api.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { readJsonBody, readOptionalJsonBody } from "../json-body.ts";

const holdBody = z.strictObject({
  amount: positiveAmount,
  expiresIn: lifetimeSeconds.optional(),
  ...writeFields,
});
const captureBody = z.strictObject({
  amount: positiveAmount.optional(),
  to: idNumber.optional(),
  ...writeFields,
});
const { reference, metadata } = writeFields;
const voidBody = z.strictObject({ reference, metadata });
const listQuery = z.strictObject({ limit: pageLimit, cursor: z.string().optional() });
const listPosition = z.strictObject({ holdsOf: idNumber, open: z.boolean(), before: uuidText });

/** POST and GET /api/users/:userId/holds, GET .../:holdId, POST .../:holdId/capture and /void. */
export function holdRoutes(app: Express, api: Api): void {
  const { ledger, bodyBytesMax } = api;

  app
    .route("/api/users/:userId/holds")
    .post(async (req, res) => {
      const userId = pathId(req);
      const body = await readJsonBody(req, bodyBytesMax);
      const { amount, expiresIn, ...context } = parseRequest(holdBody, body, "body");
      const operation = hold(userId, amount, expiresIn, writeOptions(req, context));
      const outcome = await ledger.apply(operation);
      if (answeredRefusal(res, operation, outcome)) return;
      const headers = { Location: `/api/users/${userId}/holds/${outcome.operationId}` };
      sendData(res, newHoldView(operation, outcome), 201, headers);
    })
    .get(async (req, res) => {
      const userId = pathId(req);
      const { limit, cursor } = parseRequest(listQuery, req.query, "query");
      const place = continued(userId, cursor);
      const found = await ledger.holds(userId, place, limit + 1);
      const holds = found.slice(0, limit);
      const last = holds.at(-1);
      const nextCursor =
        found.length > limit && last
          ? encodeCursor({ holdsOf: userId, open: last.state === "open", before: last.id })
          : null;
      if (nextCursor) {
        const next = `/api/users/${userId}/holds?limit=${limit}&cursor=${nextCursor}`;
        res.setHeader("Link", `<${next}>; rel="next"`);
      }
      sendData(res, { holds: holds.map(holdView), nextCursor });
    })
    .all(methodNotAllowed("GET, HEAD, POST"));

  app
    .route("/api/users/:userId/holds/:holdId")
    .get(async (req, res) => {
      const { userId, holdId } = holdPath(req);
      refuseQuery(req);
      sendData(res, holdView(await ledger.hold(userId, holdId)));
    })
    .all(methodNotAllowed("GET, HEAD"));

  app
    .route("/api/users/:userId/holds/:holdId/capture")
    .post(async (req, res) => {
      const path = holdPath(req);
      const body = await readOptionalJsonBody(req, bodyBytesMax);
      const { amount, to, ...context } = parseRequest(captureBody, body, "body");
      if (to === path.userId) {
        throw new BalancectlError(
          "INVALID_REQUEST",
          "to must not be the user who pays; void the hold to give the money back",
        );
      }
      const operation = capture({ ...path, amount, to }, writeOptions(req, context));
      await close(api, res, operation, "captured", (held) => ({
        captured: amount ?? held,
        released: held - (amount ?? held),
        ...(to !== undefined && { to }),
      }));
    })
    .all(methodNotAllowed("POST"));

  app
    .route("/api/users/:userId/holds/:holdId/void")
    .post(async (req, res) => {
      const { userId, holdId } = holdPath(req);
      const body = await readOptionalJsonBody(req, bodyBytesMax);
      const context = parseRequest(voidBody, body, "body");
      const operation = voidHold(userId, holdId, writeOptions(req, context));
      await close(api, res, operation, "voided", (held) => ({ released: held }));
    })
    .all(methodNotAllowed("POST"));
}

/** Ends a hold and answers; one that has ended before is answered with how it ended. */
async function close(
  { ledger }: Api,
  res: Response,
  operation: Operation,
  state: "captured" | "voided",
  parts: (held: number) => object,
): Promise<void> {
  const outcome = await ledger.apply(operation);
  const { userId, operationId: id } = operation;
  if (outcome.refusal === "HOLD_CLOSED") {
    if (outcome.replayed) res.setHeader("Idempotent-Replayed", "true");
    const { state: ended } = await ledger.hold(userId, id as string);
    sendError(res, "HOLD_CLOSED", `The hold is ${ended}`);
    return;
  }
  if (answeredRefusal(res, operation, outcome)) return;
  const { amount, balance } = outcome;
  sendData(res, { id, userId, state, amount, ...parts(amount as number), balance });
}

function holdPath(req: Request): { userId: number; holdId: string } {
  return {
    userId: pathId(req),
    holdId: parseRequest(uuidText, req.params["holdId"], "path: holdId"),
  };
}

function continued(userId: number, cursor: string | undefined) {
  if (cursor === undefined) return { open: true, before: null };
  const { holdsOf, ...position } = decodeCursor(cursor, listPosition);
  if (holdsOf === userId) return position;
  throw new BalancectlError("INVALID_REQUEST", "cursor belongs to the holds of another user");
}
