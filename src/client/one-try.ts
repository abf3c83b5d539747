/** A request, once: what came back, and what that says of whether anything was changed. */
import { parseRetryAfter } from "./backoff.ts";
import type { AnswerCode, Applied, ClientCode } from "./balance-error.ts";
import type { Settings } from "./settings.ts";
import { limitTime, untilAborted } from "./time-limit.ts";

export interface Call {
  readonly method: "GET" | "POST" | "PUT";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Of a change. */
  readonly idempotencyKey?: string | undefined;
  readonly ifVersion?: number | undefined;
}

export interface Answered<Data = unknown> {
  readonly data: Data;
  readonly headers: Headers;
}

export interface Failed {
  readonly code: AnswerCode | ClientCode;
  readonly message: string;
  readonly status?: number;
  readonly applied: Applied;
  readonly details?: unknown;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
  /** Whether the same may come to something else. */
  readonly mayPass: boolean;
  /** The ledger itself has said no: whatever became of tries before, it is no. */
  readonly isDecided?: boolean;
}

/**
 * @param signal ends it; what comes of that is up to the caller
 * @throws TypeError for a token or key that no header can carry; what the token's function throws
 */
export async function tryOnce(
  call: Call,
  settings: Settings,
  tryTimeoutMs: number,
  signal: AbortSignal,
): Promise<Answered | Failed> {
  const limit = limitTime(tryTimeoutMs, signal);
  try {
    const headers = await headersOf(call, settings, limit.signal);
    const init: RequestInit = {
      method: call.method,
      headers,
      signal: limit.signal,
      // Followed, a POST would become a GET, and a token go to who knows whom.
      redirect: "manual",
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    };
    try {
      // Also of a fetch that minds no signal.
      const work = settings.fetch(settings.url + call.path, init).then(read);
      return understood(await untilAborted(work, limit.signal), call);
    } catch (error) {
      return limit.isOver() ? tookTooLong(tryTimeoutMs, call) : notAnswered(error, call);
    }
  } catch (error) {
    if (limit.isOver()) return tookTooLong(tryTimeoutMs, call, "no");
    throw error;
  } finally {
    limit.clear();
  }
}

async function headersOf(
  { body, idempotencyKey, ifVersion }: Call,
  { token }: Settings,
  signal: AbortSignal,
): Promise<Headers> {
  const headers = new Headers({ Accept: "application/json" });
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (idempotencyKey !== undefined) headers.set("Idempotency-Key", idempotencyKey);
  if (ifVersion !== undefined) headers.set("If-Match", `"v${ifVersion}"`);
  if (token !== undefined) {
    const asked = typeof token === "string" ? token : token();
    const text = typeof asked === "string" ? asked : await untilAborted(asked, signal);
    headers.set("Authorization", `Bearer ${text}`);
  }
  return headers;
}

interface Read {
  readonly response: Response;
  readonly text: string;
}

async function read(response: Response): Promise<Read> {
  return { response, text: await response.text() };
}

function understood({ response, text }: Read, call: Call): Answered | Failed {
  const { status, headers } = response;
  const body = parsed(text);
  if (status >= 200 && status < 300 && body?.success === true) return { data: body.data, headers };
  const error = body?.success === false ? body.error : undefined;
  const about = {
    status,
    requestId: headers.get("x-request-id") ?? undefined,
    retryAfterMs: parseRetryAfter(headers.get("retry-after")),
  };
  if (typeof error?.code !== "string") return { ...about, ...foreign(status, headers, call) };
  const isDecided = decidedStatuses.has(status) && error.code !== "ROUTE_NOT_FOUND";
  return {
    ...about,
    ...{ code: error.code as AnswerCode, message: String(error.message), details: error.details },
    applied: appliedBy(error, status, call),
    // A fault of the server's own (500) is no passing trouble: that is 503.
    mayPass: passingStatuses.has(status),
    isDecided,
  };
}

/** The request did not arrive, or nobody knows, or it was not let in, or nothing could be done just now. */
const passingStatuses: ReadonlySet<number> = new Set([408, 424, 425, 429, 502, 503, 504]);

/** Of what only the ledger says: not found, exists or closed already, changed since, refused. */
const decidedStatuses: ReadonlySet<number> = new Set([404, 409, 412, 422]);

function appliedBy({ applied }: ErrorBody, status: number, call: Call): Applied {
  if (call.method === "GET") return "no";
  if (applied === "no" || applied === "unknown") return applied;
  return status >= 500 ? "unknown" : "no";
}

interface ErrorBody {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly applied?: unknown;
}

interface Envelope {
  readonly success?: unknown;
  readonly data?: unknown;
  readonly error?: ErrorBody;
}

function parsed(text: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** From a proxy, a login page, another program. What was cut short is sent again. */
function foreign(status: number, headers: Headers, call: Call): Failed {
  const isOurs = headers.get("content-type")?.startsWith("application/json") ?? false;
  const isRedirect = status === 0 || (status >= 300 && status < 400);
  const what = isRedirect
    ? `sends elsewhere (${headers.get("location") ?? "a redirect"}); use the URL of that`
    : `answered ${status} with what no balancectl says`;
  const isSure = isRedirect || (status >= 400 && status < 500) || call.method === "GET";
  return {
    code: "UNEXPECTED_ANSWER",
    message: `The server ${what}`,
    applied: isSure ? "no" : "unknown",
    mayPass: passingStatuses.has(status) || status >= 500 || (status === 200 && isOurs),
  };
}

function tookTooLong(ms: number, { method }: Call, applied: Applied = "unknown"): Failed {
  return {
    code: "TIMEOUT",
    message: `No answer came in ${ms} ms`,
    applied: method === "GET" ? "no" : applied,
    mayPass: true,
  };
}

function notAnswered(error: unknown, { method }: Call): Failed {
  const cause = (error as { cause?: { code?: unknown; message?: unknown } } | undefined)?.cause;
  const why = cause?.message || (error as Error | undefined)?.message || String(error);
  const wasNotSent = neverSent.has(String(cause?.code));
  return {
    code: "CONNECTION_FAILED",
    message: `The server did not answer (${why})`,
    applied: method === "GET" || wasNotSent ? "no" : "unknown",
    cause: error,
    mayPass: true,
  };
}

/** As Node names it where there was no connection to send anything on; browsers do not say. */
const neverSent: ReadonlySet<string> = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"],
  "UND_ERR_CONNECT_TIMEOUT",
]);
