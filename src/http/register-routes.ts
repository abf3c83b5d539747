/** The one walk over the table of routes: from there on Express knows them. */
import type { Express, Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { parseRequest } from "../ledger/fields.ts";
import { sendData, sendError, sendWithoutBody } from "./answer.ts";
import { idempotencyKey, ifMatchVersion, refuseOtherConditions } from "./headers.ts";
import { readJsonBody, readOptionalJsonBody } from "./json-body.ts";
import type { AnyAnswer, Api, Conditions, Method, Route } from "./route.ts";

export interface WalkOptions {
  readonly bodyBytesMax: number;
  /** Whether a change without an Idempotency-Key is refused. */
  readonly requireKeys: boolean;
}

/** In the order given: the router tries them one after the other. HEAD, 405 and Allow follow from the table. */
export function registerRoutes(
  app: Express,
  routes: readonly Route[],
  api: Api,
  options: WalkOptions,
): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const place = app.route(path);
    for (const route of here) place[verbs[route.method]](answering(route, api, options));
    place.all(methodNotAllowed(here));
  }
}

const verbs = { GET: "get", POST: "post", PUT: "put" } as const satisfies Record<Method, string>;

/** Express brings what it rejects with to its error handler by itself. */
function answering(
  route: Route,
  api: Api,
  { bodyBytesMax, requireKeys }: WalkOptions,
): RequestHandler {
  const { query, body: bodySchema, bodyIsOptional, creates = false, handle } = route;
  const params = Object.entries(route.params ?? {}).map(
    ([name, schema]) => [name, schema, `path: ${name}`] as const,
  );
  const isChange = route.method !== "GET";
  const readBody = bodyIsOptional ? readOptionalJsonBody : readJsonBody;
  // Most have none, and looking costs a parse.
  const queryOf = (req: Request) =>
    query === "any" || (query === undefined && !req.url.includes("?"))
      ? undefined
      : parseRequest(query ?? noParameters, req.query, "query");

  return async (req, res) => {
    if (requireKeys && isChange && req.headers["idempotency-key"] === undefined) {
      sendError(res, "IDEMPOTENCY_KEY_REQUIRED");
      return;
    }
    const values: Record<string, unknown> = {};
    for (const [name, schema, where] of params) {
      values[name] = parseRequest(schema, req.params[name], where);
    }
    const body = bodySchema && parseRequest(bodySchema, await readBody(req, bodyBytesMax), "body");
    respond(
      res,
      await handle(
        {
          params: values,
          query: queryOf(req),
          body,
          headers: req.headers,
          conditions: isChange ? conditionsOf(req, creates) : undefined,
        },
        api,
      ),
    );
  };
}

const noParameters = z.strictObject({});

/** @throws BalancectlError INVALID_REQUEST, PRECONDITION_FAILED */
function conditionsOf(req: Request, creates: boolean): Conditions | undefined {
  if (!creates || req.headers["if-none-match"] !== "*") refuseOtherConditions(req);
  const key = idempotencyKey(req);
  const version = ifMatchVersion(req);
  if (key === undefined && version === undefined) return undefined;
  return { idempotencyKey: key, ifVersion: version };
}

/** The one place from which routes answer; what is thrown goes to the application's error handler. */
function respond(res: Response, answer: AnyAnswer): void {
  const replayed = answer.replayed ? { "Idempotent-Replayed": "true" } : undefined;
  if ("code" in answer) sendError(res, answer.code, answer.message, replayed);
  else {
    const headers = replayed ? { ...replayed, ...answer.headers } : answer.headers;
    if (answer.data === null) sendWithoutBody(res, answer.status, headers);
    else sendData(res, answer.data, answer.status, headers);
  }
}

function methodNotAllowed(routes: readonly Route[]): RequestHandler {
  const methods = routes.flatMap(({ method }) => (method === "GET" ? [method, "HEAD"] : [method]));
  const allow = methods.sort().join(", ");
  return (req, res) => {
    const message = `${req.method} is not possible here; possible: ${allow}`;
    sendError(res, "METHOD_NOT_ALLOWED", message, { Allow: allow });
  };
}
