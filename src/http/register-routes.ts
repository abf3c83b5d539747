/** The one walk over the table of routes: from there on Express knows them. */
import type { Express, Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { anonymous, type Caller } from "../access/caller.ts";
import { parseRequest } from "../ledger/fields.ts";
import { refusalDetails } from "../ledger/refusal.ts";
import { type Admit, isForOthers } from "./admit.ts";
import { sendBare, sendData, sendError, sendWithoutBody, wantsProblem } from "./answer.ts";
import { idempotencyKey, ifMatchVersion, refuseOtherConditions } from "./headers.ts";
import { readJsonBody, readOptionalJsonBody } from "./json-body.ts";
import type {
  AnyAnswer,
  Api,
  Conditions,
  Method,
  RefusedAnswer,
  Route,
  RouteTimer,
} from "./route.ts";
import { time } from "./timed.ts";
import { requireRoom } from "./untaken.ts";

export interface WalkOptions {
  readonly bodyBytesMax: number;
  /** Whether a change without an Idempotency-Key is refused. */
  readonly requireKeys: boolean;
  /** Makes the timer of a route. */
  readonly timer?: ((route: string, method: string) => RouteTimer) | undefined;
}

/** In the order given: the router tries them one after the other. HEAD, 405 and Allow follow from the table. */
export function registerRoutes(
  app: Express,
  routes: readonly Route[],
  api: Api,
  admit: Admit,
  options: WalkOptions,
): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    const place = app.route(path);
    for (const route of here) place[verbs[route.method]](answering(route, api, admit, options));
    place.all(methodNotAllowed(here, admit));
  }
}

const verbs = { GET: "get", POST: "post", PUT: "put" } as const satisfies Record<Method, string>;

/** Express brings what it rejects with to its error handler by itself. */
function answering(
  route: Route,
  api: Api,
  admit: Admit,
  { bodyBytesMax, requireKeys, timer }: WalkOptions,
): RequestHandler {
  const { scope, concerns, query, body: bodySchema, bodyIsOptional, creates = false } = route;
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

  const timing = timer?.(route.name, route.method);

  return async (req, res) => {
    if (timing !== undefined) time(res, timing);
    const caller = scope === "public" ? anonymous : admit(req, res, scope);
    if (caller === undefined) return;
    if (requireKeys && isChange && req.headers["idempotency-key"] === undefined) {
      sendError(res, "IDEMPOTENCY_KEY_REQUIRED");
      return;
    }
    if (!isChange) requireRoom();
    const values: Record<string, unknown> = {};
    for (const [name, schema, where] of params) {
      values[name] = parseRequest(schema, req.params[name], where);
    }
    const { userId } = values;
    if (caller.userIds !== null) {
      const whom = typeof userId === "number" ? [userId] : (concerns ?? "everybody");
      if (typeof whom !== "function" && refuseForOthers(res, caller, whom)) return;
    }
    if (bodySchema && req.headers.expect !== undefined) res.writeContinue();
    const body = bodySchema && parseRequest(bodySchema, await readBody(req, bodyBytesMax), "body");
    if (typeof concerns === "function" && refuseForOthers(res, caller, concerns(body))) return;
    const request = {
      params: values,
      query: queryOf(req),
      body,
      headers: req.headers,
      caller,
      conditions: isChange ? conditionsOf(req, creates, caller) : undefined,
    };
    respond(res, await route.handle(request, api), route.document !== undefined);
  };
}

const noParameters = z.strictObject({});

/** Said before anything is asked of the database: it tells nothing of who exists. @returns whether it was */
function refuseForOthers(
  res: Response,
  caller: Caller,
  whom: readonly number[] | "everybody" | "answer",
): boolean {
  if (whom === "answer" || !isForOthers(caller, whom)) return false;
  sendError(res, "FORBIDDEN", "This token is for some users, and this is about others");
  return true;
}

/** @throws BalancectlError INVALID_REQUEST, PRECONDITION_FAILED */
function conditionsOf(
  req: Request,
  creates: boolean,
  { actor, client }: Caller,
): Conditions | undefined {
  if (!creates || req.headers["if-none-match"] !== "*") refuseOtherConditions(req);
  const key = idempotencyKey(req);
  const version = ifMatchVersion(req);
  if (key === undefined && version === undefined && actor === undefined) return undefined;
  return { idempotencyKey: key, ifVersion: version, actor, client };
}

/** The one place from which routes answer; what is thrown goes to the application's error handler. */
function respond(res: Response, answer: AnyAnswer, isDocument: boolean): void {
  const replayed = answer.replayed ? { "Idempotent-Replayed": "true" } : undefined;
  if ("code" in answer) {
    const { code, message } = answer;
    sendError(res, code, message, replayed, undefined, detailsOf(res, answer));
  } else {
    const headers = replayed ? { ...replayed, ...answer.headers } : answer.headers;
    if (answer.data === null) sendWithoutBody(res, answer.status, headers);
    else if (isDocument) sendBare(res, answer.data, headers);
    else sendData(res, answer.data, answer.status, headers);
  }
}

/**
 * The refusal that most get, of a plain change of a balance, is to the letter what it always was. Who asks for problems,
 * for a bound or for a version expects more.
 */
function detailsOf(res: Response, { outcome, operation }: RefusedAnswer) {
  if (outcome === undefined || operation === undefined) return undefined;
  const isPlain =
    outcome.refusal === "INSUFFICIENT_FUNDS" &&
    operation.kind === "adjustment" &&
    operation.minBalance === undefined &&
    operation.ifVersion === undefined;
  return isPlain && !wantsProblem(res) ? undefined : refusalDetails(outcome, operation);
}

function methodNotAllowed(routes: readonly Route[], admit: Admit): RequestHandler {
  const isPublic = routes.some(({ scope }) => scope === "public");
  const methods = routes.flatMap(({ method }) => (method === "GET" ? [method, "HEAD"] : [method]));
  const allow = methods.sort().join(", ");
  return (req, res) => {
    if (!isPublic && admit(req, res, "read") === undefined) return;
    const message = `${req.method} is not possible here; possible: ${allow}`;
    sendError(res, "METHOD_NOT_ALLOWED", message, { Allow: allow });
  };
}
