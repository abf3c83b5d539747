/** The envelope that every answer wears, and the one status of each error code. */
import type { Response } from "express";
import { type BalancectlError, type ErrorCode, errorMessages } from "../errors.ts";

/** Codes that never reach a client keep the status of a fault. */
export const statusOf: Readonly<Record<ErrorCode, number>> = {
  INVALID_REQUEST: 400,
  INVALID_JSON: 400,
  FORBIDDEN_HOST: 403,
  FORBIDDEN_ORIGIN: 403,
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
  IDEMPOTENCY_KEY_REUSED: 422,
  HEADERS_TOO_LARGE: 431,
  OVERLOADED: 503,
  DATABASE_UNAVAILABLE: 503,
  INTERNAL: 500,
  CONFIG_INVALID: 500,
  EMBEDDED_UNAVAILABLE: 500,
  SCHEMA_OUTDATED: 500,
  SCHEMA_TOO_NEW: 500,
  SCHEMA_FOREIGN: 500,
  MIGRATION_FAILED: 500,
  SERVER_FAILED: 500,
};

/** Seconds after which another try makes sense. */
const retryAfter: Partial<Record<ErrorCode, string>> = {
  OVERLOADED: "1",
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

export function sendError(
  res: Response,
  code: ErrorCode,
  message: string = errorMessages[code],
  headers: Readonly<Record<string, string>> = {},
): void {
  const seconds = retryAfter[code];
  send(
    res,
    statusOf[code],
    errorBody(code, message),
    seconds === undefined ? headers : { "Retry-After": seconds, ...headers },
  );
}

/** Only a BalancectlError's own message is shown: anything else may carry what is nobody's business. */
export function sendFailure(res: Response, error: BalancectlError): void {
  sendError(res, error.code, error.code === "INTERNAL" ? errorMessages.INTERNAL : error.message);
}

export function errorBody(code: ErrorCode, message: string = errorMessages[code]): string {
  return JSON.stringify({ success: false, error: { code, message } });
}

/**
 * On every answer: balances are old the moment they are kept, are no script or page, and no other site's
 * business. A cache that is told nothing may make up how long it keeps an answer.
 */
export const everywhere = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

/** What the client has is what there is. */
export function sendNotModified(res: Response, tag: string): void {
  res.writeHead(304, { ...everywhere, ETag: tag });
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
    ...everywhere,
    ...headers,
  });
  res.end(body);
}
