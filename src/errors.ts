/**
 * The one error class and its code table. Codes are the contract: HTTP maps each to a status, the
 * CLI to an exit code, and nothing in the program looks at a message to tell errors apart (but for two of
 * the driver's, which have no code: database/not-there-yet.ts).
 */

/** Every code that an answer can carry, with the text used where nothing more exact is known. */
export const answerMessages = {
  INVALID_REQUEST: "The request is not valid",
  INVALID_JSON: "The request body is not valid JSON",
  UNAUTHORIZED: "This server asks for a token",
  FORBIDDEN: "This token may not do that",
  RATE_LIMITED: "Too many requests; nothing was changed, try again later",
  FORBIDDEN_HOST: "The Host header names a host that this server does not answer for",
  FORBIDDEN_ORIGIN: "Writes from another web origin are refused",
  USER_NOT_FOUND: "User not found",
  ROUTE_NOT_FOUND: "There is nothing at this path",
  METHOD_NOT_ALLOWED: "This path does not answer to this method",
  REQUEST_TIMEOUT: "The request took too long to arrive",
  USER_EXISTS: "A user with this id exists already",
  HEADERS_TOO_LARGE: "The request headers are too large",
  PRECONDITION_FAILED: "The user has changed since: the version is not the one that If-Match names",
  IDEMPOTENCY_KEY_REUSED: "This Idempotency-Key was used before with a different request",
  IDEMPOTENCY_KEY_REQUIRED: "This server takes no change without an Idempotency-Key",
  OPERATION_NOT_FOUND: "No operation is stored under this Idempotency-Key",
  TRANSFER_NOT_FOUND: "Transfer not found",
  HOLD_NOT_FOUND: "Hold not found",
  HOLD_CLOSED: "The hold is closed",
  CAPTURE_EXCEEDS_HOLD: "The capture is larger than the hold",
  HOLD_LIMIT_EXCEEDED: "The user has 10000 open holds, and may have no more",
  PAYLOAD_TOO_LARGE: "The request body is too large",
  UNSUPPORTED_MEDIA_TYPE: "The request body must be JSON, sent as application/json",
  INSUFFICIENT_FUNDS: "Insufficient funds for this operation",
  BALANCE_LIMIT_EXCEEDED: "The balance would exceed 9007199254740991",
  OVERLOADED: "Too many requests are waiting; nothing was changed, try again later",
  ACCOUNT_LOCKED: "An account is locked by another session; nothing was changed, try again later",
  DATABASE_UNAVAILABLE: "The database did not answer; nothing was changed",
  OUTCOME_UNKNOWN: "Whether the change was made is not known",
  INTERNAL: "Internal error",
} as const;

/** Codes of starting and of the command line: no client ever gets them. */
export const processMessages = {
  CONFIG_INVALID: "The settings are not valid",
  EMBEDDED_UNAVAILABLE: "The embedded PostgreSQL cannot run here",
  SCHEMA_OUTDATED: "The database schema is older than this program",
  SCHEMA_TOO_NEW: "The database schema is newer than this program",
  SCHEMA_FOREIGN: "The database holds another program's tables",
  SCHEMA_ALTERED: "The database is not what this program's migrations make",
  MIGRATION_FAILED: "A migration failed and was rolled back",
  SERVER_FAILED: "The server could not start",
  SERVER_UNREACHABLE: "The server did not answer",
  INTERRUPTED: "Stopped",
} as const;

export const errorMessages = { ...answerMessages, ...processMessages };

export type AnswerCode = keyof typeof answerMessages;
export type ErrorCode = keyof typeof errorMessages;

/** What programs need not read out of a message; README says which codes have which. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** One thing that is wrong with a request. */
export interface Problem {
  /** "body", "query", "path" or the name of a header. */
  readonly in: string;
  /** As messages name it: "amount", "transfers.3.to"; "" where it is the whole. */
  readonly field: string;
  readonly rule: string;
}

/** Of a write that failed: whether it changed anything. What is refused has changed nothing anyway. */
export type Applied = "no" | "unknown";

const appliedOf: Partial<Record<ErrorCode, Applied>> = {
  OVERLOADED: "no",
  ACCOUNT_LOCKED: "no",
  DATABASE_UNAVAILABLE: "no",
  OUTCOME_UNKNOWN: "unknown",
  // Unless who throws it knows better.
  INTERNAL: "unknown",
};

/**
 * A failure with a code that callers can act on. `message` is written for people: what was wrong
 * and what to do. `cause` keeps the underlying error for the log.
 */
export class BalancectlError extends Error {
  readonly code: ErrorCode;
  readonly applied: Applied | undefined;
  readonly details: ErrorDetails | undefined;

  constructor(
    code: ErrorCode,
    message: string = errorMessages[code],
    options?: ErrorOptions & {
      readonly applied?: Applied;
      readonly details?: ErrorDetails | undefined;
    },
  ) {
    super(message, options);
    this.name = "BalancectlError";
    this.code = code;
    this.applied = options?.applied ?? appliedOf[code];
    this.details = options?.details;
  }
}

/** @param message of all problems together */
export function invalidRequest(message: string, problems: readonly Problem[]): BalancectlError {
  return new BalancectlError("INVALID_REQUEST", message, { details: { problems } });
}

/** The error as a BalancectlError: itself if it is one, otherwise INTERNAL with it as the cause. */
export function asBalancectlError(error: unknown): BalancectlError {
  if (error instanceof BalancectlError) return error;
  return new BalancectlError("INTERNAL", undefined, { cause: error });
}
