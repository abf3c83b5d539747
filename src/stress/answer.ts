/**
 * What became of one request. Four outcomes that never mix: a success only when the answer is to
 * the letter what a success looks like, the refusal only under its own status and code, everything
 * else by what was answered, and "no answer" where nobody can tell whether the change was made.
 */
/** One change to send again and again: built once, so that sending costs no string work. */
export interface Shot {
  readonly userId: number;
  /** The signed amount that goes into the body: a withdrawal of 2 is -2. */
  readonly change: number;
  readonly path: string;
  readonly headers: string[];
  readonly body: Buffer;
}

export type Outcome =
  | { readonly kind: "succeeded"; readonly balance: number }
  | { readonly kind: "insufficientFunds" }
  | { readonly kind: "answer"; readonly cause: string }
  | { readonly kind: "noAnswer"; readonly cause: string };

/** `pathPrefix` is the path below which the API lives: "" or "/something". */
export function buildShot(
  pathPrefix: string,
  userId: number,
  change: number,
  token?: string,
): Shot {
  return {
    userId,
    change,
    path: `${pathPrefix}/api/users/${userId}/balance`,
    headers: ["content-type", "application/json", ...bearer(token)],
    body: Buffer.from(JSON.stringify({ amount: change })),
  };
}

/** The header that shows a token, where there is one. */
export function bearer(token: string | undefined): string[] {
  return token === undefined ? [] : ["authorization", `Bearer ${token}`];
}

/** The outcome of an answer that arrived in full. */
export function classifyAnswer(status: number, body: string, shot: Shot): Outcome {
  const envelope = parseObject(body);
  if (status === 200) {
    const balance = succeededBalance(envelope, shot);
    return balance === undefined
      ? { kind: "answer", cause: "malformed 200" }
      : { kind: "succeeded", balance };
  }
  const code = errorCode(envelope);
  if (status === 422 && code === "INSUFFICIENT_FUNDS") return { kind: "insufficientFunds" };
  return { kind: "answer", cause: `${status} ${code ?? "without a code"}` };
}

/** The outcome of a request that failed on its way, told by error codes. */
export function classifyFailure(error: unknown): Outcome {
  return { kind: "noAnswer", cause: failureCause(error) };
}

/** A short name for what went wrong with a connection, fit for counting and for printing. */
export function failureCause(error: unknown): string {
  const code = propertyOf(error, "code");
  const kind = error instanceof Error ? error.name : "unknown";
  const name = typeof code === "string" ? code : kind;
  return plainNames.get(name) ?? name;
}

/** The `error.code` of an envelope, if it is one: `{"success":false,"error":{"code":"…"}}`. */
export function errorCode(envelope: unknown): string | undefined {
  if (propertyOf(envelope, "success") !== false) return undefined;
  const code = propertyOf(propertyOf(envelope, "error"), "code");
  // A server under test may send anything: only what looks like a code may reach a terminal.
  return typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code : undefined;
}

/** JSON text as a value, undefined where it is not JSON. */
export function parseObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A property of whatever came over the wire, undefined where there is none. */
export function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** True for a balance as the API may give it: an exact whole number, not below zero. */
export function isBalance(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function succeededBalance(envelope: unknown, shot: Shot): number | undefined {
  if (propertyOf(envelope, "success") !== true) return undefined;
  const data = propertyOf(envelope, "data");
  if (propertyOf(data, "id") !== shot.userId) return undefined;
  if (propertyOf(data, "amount") !== shot.change) return undefined;
  const balance = propertyOf(data, "balance");
  const previous = propertyOf(data, "previousBalance");
  if (!isBalance(balance) || !isBalance(previous)) return undefined;
  return previous + shot.change === balance ? balance : undefined;
}

const plainNames = new Map([
  ["HTTPParserError", "malformed answer"],
  ["UND_ERR_HEADERS_OVERFLOW", "malformed answer"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "malformed answer"],
  ["UND_ERR_RES_EXCEEDED_MAX_SIZE", "malformed answer"],
  ["UND_ERR_SOCKET", "connection closed"],
  ["UND_ERR_CONNECT_TIMEOUT", "connect timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "timeout"],
  ["UND_ERR_BODY_TIMEOUT", "timeout"],
  ["AbortError", "interrupted"],
]);
