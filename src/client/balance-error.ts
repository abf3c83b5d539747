/** What a call throws, whatever went wrong: told apart by `code`. */
import type { AnswerCode, Applied } from "../errors.ts";

/**
 * Codes of the client's own, beside those of the API: no answer came in time; the caller's signal ended the
 * call; no answer came, and not for want of time; what came is none of balancectl's.
 */
export type ClientCode = "TIMEOUT" | "ABORTED" | "CONNECTION_FAILED" | "UNEXPECTED_ANSWER";

export type { AnswerCode, Applied };

/**
 * A call that did not do what was asked. A refusal, like INSUFFICIENT_FUNDS, is one too: who does not look
 * must not go on as if the money had moved.
 */
export class BalanceError extends Error {
  readonly code: AnswerCode | ClientCode;
  /** Of the last answer; undefined where none came. */
  readonly status: number | undefined;
  /** "no": this call has changed nothing, for sure. "unknown": repeat it under its key to find out. */
  readonly applied: Applied;
  /** What the API says beside code and message. */
  readonly details: unknown;
  /** As the server's log names the request (X-Request-Id), where it says so. */
  readonly requestId: string | undefined;
  /** The key that the call had; undefined of reads. */
  readonly idempotencyKey: string | undefined;
  /** How often it was sent. */
  readonly tries: number;
  /** When the server asks to come again, counted from its answer. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, about: BalanceErrorParts) {
    super(message, "cause" in about ? { cause: about.cause } : undefined);
    this.name = "BalanceError";
    this.code = about.code;
    this.status = about.status;
    this.applied = about.applied;
    this.details = about.details;
    this.requestId = about.requestId;
    this.idempotencyKey = about.idempotencyKey;
    this.tries = about.tries;
    this.retryAfterMs = about.retryAfterMs;
  }
}

export interface BalanceErrorParts {
  readonly code: AnswerCode | ClientCode;
  readonly status?: number | undefined;
  readonly applied: Applied;
  readonly details?: unknown;
  readonly requestId?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly tries: number;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}
