/** The envelope that every answer wears, and the one status of each error code. */
import { STATUS_CODES } from "node:http";
import type { Response } from "express";
import {
  type AnswerCode,
  type Applied,
  answerMessages,
  type BalancectlError,
  type ErrorCode,
  type ErrorDetails,
} from "../errors.ts";
import { countUntaken } from "./untaken.ts";

export const statusOf: Readonly<Record<AnswerCode, number>> = {
  INVALID_REQUEST: 400,
  INVALID_JSON: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  FORBIDDEN_ORIGIN: 403,
  // Misdirected: another server may answer for that name.
  FORBIDDEN_HOST: 421,
  USER_NOT_FOUND: 404,
  ROUTE_NOT_FOUND: 404,
  OPERATION_NOT_FOUND: 404,
  TRANSFER_NOT_FOUND: 404,
  HOLD_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  USER_EXISTS: 409,
  HOLD_CLOSED: 409,
  PRECONDITION_FAILED: 412,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INSUFFICIENT_FUNDS: 422,
  BALANCE_LIMIT_EXCEEDED: 422,
  CAPTURE_EXCEEDS_HOLD: 422,
  HOLD_LIMIT_EXCEEDED: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  IDEMPOTENCY_KEY_REQUIRED: 428,
  RATE_LIMITED: 429,
  // Below 500, and no code that clients repeat by habit, as they do 408, 429 and all from 500 on.
  OUTCOME_UNKNOWN: 424,
  HEADERS_TOO_LARGE: 431,
  OVERLOADED: 503,
  ACCOUNT_LOCKED: 503,
  DATABASE_UNAVAILABLE: 503,
  INTERNAL: 500,
};

/** Seconds after which another try makes sense. */
const retryAfter: Partial<Record<AnswerCode, string>> = {
  OVERLOADED: "1",
  ACCOUNT_LOCKED: "1",
  DATABASE_UNAVAILABLE: "1",
};

export function sendData(
  res: Response,
  data: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(res, status, JSON.stringify({ success: true, data }), headers);
}

/** A document of another's making, which wears no envelope. */
export function sendBare(
  res: Response,
  data: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(res, 200, typeof data === "string" ? data : JSON.stringify(data), headers);
}

export function sendError(
  res: Response,
  code: AnswerCode,
  message: string = answerMessages[code],
  headers: Readonly<Record<string, string>> = {},
  applied?: Applied,
  details?: ErrorDetails,
): void {
  const seconds = retryAfter[code];
  const all = seconds === undefined ? headers : { "Retry-After": seconds, ...headers };
  if (!wantsProblem(res)) {
    send(res, statusOf[code], errorBody(code, message, applied, details), all);
    return;
  }
  const body = problemBody(code, message, applied, details);
  send(res, statusOf[code], body, { ...all, "Content-Type": problemType, Vary: "Accept" });
}

const problemType = "application/problem+json";

/** Whether the client asks for errors as RFC 9457 has them, beside whatever else it takes. */
export function wantsProblem(res: Response): boolean {
  const { accept } = res.req.headers;
  // Hardly anybody does: most say nothing, or a few letters.
  if (accept === undefined || accept.length < problemType.length) return false;
  return accept.split(",").some((range) => asksForProblem.test(range));
}

/** With a weight that is not 0. */
const asksForProblem =
  /^\s*application\/problem\+json\s*(?:;(?!\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)).*)?$/i;

/** What `error` has in the envelope, under the same names. @see https://www.rfc-editor.org/rfc/rfc9457 */
function problemBody(
  code: AnswerCode,
  message: string,
  applied: Applied | undefined,
  details: ErrorDetails | undefined,
): string {
  const status = statusOf[code];
  const about = { type: "about:blank", title: STATUS_CODES[status], status, detail: message };
  return JSON.stringify({ ...about, code, applied, details });
}

/**
 * Only a BalancectlError's own message is shown: anything else may carry what is nobody's business. A
 * write that failed says whether it was applied; where that is not known, be it for a fault of ours, the
 * status is one that nobody repeats, and only who can without doubling it, under its key, is told to.
 */
export function sendFailure(res: Response, error: BalancectlError): void {
  const { method, headers } = res.req;
  const applied = method === "GET" || method === "HEAD" ? undefined : error.applied;
  const fault = applied === "unknown" ? "OUTCOME_UNKNOWN" : "INTERNAL";
  const code = error.code === "INTERNAL" || !isAnswerCode(error.code) ? fault : error.code;
  const message =
    code === error.code && code !== "INTERNAL" ? error.message : faultText(code, applied);
  const mayRepeat = code === "OUTCOME_UNKNOWN" && headers["idempotency-key"] !== undefined;
  const more = mayRepeat ? { "Retry-After": "1" } : {};
  sendError(res, code, message, more, applied, error.details);
}

function faultText(code: AnswerCode, applied: Applied | undefined): string {
  return applied === "no" ? `${answerMessages[code]}; nothing was changed` : answerMessages[code];
}

function isAnswerCode(code: ErrorCode): code is AnswerCode {
  return code in answerMessages;
}

export function errorBody(
  code: AnswerCode,
  message: string = answerMessages[code],
  applied?: Applied,
  details?: ErrorDetails,
): string {
  return JSON.stringify({ success: false, error: { code, message, applied, details } });
}

/**
 * On every answer: balances are old the moment they are kept, are no script or page, and no other site's
 * business. A cache that is told nothing may make up how long it keeps an answer.
 */
export const everywhere =
  "Cache-Control: no-store\r\n" +
  "X-Content-Type-Options: nosniff\r\n" +
  "Cross-Origin-Resource-Policy: same-origin\r\n";

export function sendWithoutBody(
  res: Response,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  res.writeHead(status, headers);
  res.end();
}

/** Writes head and body in one go; Express's own res.json computes what nothing here needs. */
function send(
  res: Response,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  res.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    ...headers,
  });
  countUntaken(res, body);
  res.end(body);
}
