/** What can be asked of the ledger, and what it answers. Plain data: no behaviour lives here. */

/** 2^53 - 1: the largest balance, and the largest whole number that JSON carries exactly. */
export const balanceMax = Number.MAX_SAFE_INTEGER;

export type OperationKind =
  | "adjustment"
  | "transfer"
  | "hold"
  | "capture"
  | "void"
  | "opening"
  | "touch";

/** One change of one user's balance (two users' for a transfer). Amounts are in minor units. */
export interface Operation {
  readonly kind: OperationKind;
  readonly userId: number;
  /** Adjustment: signed, not 0. Capture: null takes the whole hold. Void and touch: null. */
  readonly amount: number | null;
  /** Transfer and capture: who receives. */
  readonly toUserId?: number | undefined;
  /** The transfer's or the hold's id, a UUID. */
  readonly operationId?: string | undefined;
  /** Hold: seconds until it expires; never when absent. */
  readonly lifetimeSeconds?: number | undefined;
  /** Refuse unless the user's version is this. */
  readonly ifVersion?: number | undefined;
  /** Refuse when less than this would be left. */
  readonly minBalance?: number | undefined;
  readonly idempotency?: Idempotency | undefined;
  readonly reference?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Further operations that apply together with this one or not at all. */
  readonly legs?: readonly Operation[] | undefined;
}

export interface Idempotency {
  readonly key: string;
  /** Equal for the same request, different for another one. */
  readonly fingerprint: string;
}

/** Why the ledger said no: answers, not failures. */
export type Refusal =
  | "USER_NOT_FOUND"
  | "RECIPIENT_NOT_FOUND"
  | "USER_EXISTS"
  | "INSUFFICIENT_FUNDS"
  | "BALANCE_LIMIT_EXCEEDED"
  | "PRECONDITION_FAILED"
  | "HOLD_NOT_FOUND"
  | "HOLD_CLOSED"
  | "CAPTURE_EXCEEDS_HOLD"
  | "IDEMPOTENCY_KEY_REUSED";

export interface Outcome {
  /** null: applied. */
  readonly refusal: Refusal | null;
  /** The user's balance and version right after the operation; null when there is no such user. */
  readonly balance: number | null;
  readonly version: number | null;
  /** What moved; for a capture or a void, the whole hold. */
  readonly amount: number | null;
  /** True when an idempotency key had the answer and nothing was done now. */
  readonly replayed: boolean;
  /** As stored when replayed, else as asked. */
  readonly operationId: string | null;
  readonly createdUserId: number | null;
  /** Which of an operation and its legs was refused, from 1; null without legs. */
  readonly refusedLeg: number | null;
  /** Milliseconds since 1970: the time stamped on the entries. */
  readonly decidedAtMs: number;
}
