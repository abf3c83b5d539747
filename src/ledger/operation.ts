/** What can be asked of the ledger, and what it answers. Plain data: no behaviour lives here. */

import type { Hold } from "./holds.ts";

export type HoldState = Hold["state"];

/** 2^53 - 1: the largest balance, and the largest whole number that JSON carries exactly. */
export const balanceMax = Number.MAX_SAFE_INTEGER;

/**
 * One change of one user's balance (two users' for a transfer). Amounts are in minor units. All kinds
 * share one shape at run time (request.ts makes it); a field that a kind has no use for is undefined.
 */
export type Operation =
  | AdjustmentOperation
  | TransferOperation
  | HoldOperation
  | CaptureOperation
  | VoidOperation
  | OpeningOperation
  | TouchOperation;

export interface AdjustmentOperation extends Kind<"adjustment"> {
  /** Signed, not 0. */
  readonly amount: number;
}

export interface TransferOperation extends Kind<"transfer", "toUserId" | "operationId" | "legs"> {
  readonly amount: number;
  /** Who receives. */
  readonly toUserId: number;
  /** The transfer's id, a UUID. */
  readonly operationId: string;
  /** Further transfers that apply together with this one or not at all. */
  readonly legs?: readonly TransferOperation[] | undefined;
}

export interface HoldOperation extends Kind<"hold", "operationId" | "lifetimeSeconds"> {
  readonly amount: number;
  /** The hold's id, a UUID. */
  readonly operationId: string;
  /** Until it expires; never when absent. */
  readonly lifetimeSeconds?: number | undefined;
}

export interface CaptureOperation extends Kind<"capture", "toUserId" | "operationId"> {
  /** Null takes the whole hold. */
  readonly amount: number | null;
  /** Who is paid; nobody in this ledger when absent. */
  readonly toUserId?: number | undefined;
  readonly operationId: string;
}

export interface VoidOperation extends Kind<"void", "operationId"> {
  readonly amount: null;
  readonly operationId: string;
}

export interface OpeningOperation extends Kind<"opening"> {
  /** What the user begins with. */
  readonly amount: number;
}

/** Changes nothing but that holds which are due go back. */
export interface TouchOperation extends Kind<"touch"> {
  readonly amount: null;
}

/** What any kind has, and that it has none of the fields of others. */
type Kind<Name, Own extends keyof OfSomeKinds = never> = Common &
  Omit<OfSomeKinds, Own> & { readonly kind: Name };

interface Common {
  readonly userId: number;
  /** Refuse unless the user's version is this. */
  readonly ifVersion?: number | undefined;
  /** Refuse when less than this would be left. */
  readonly minBalance?: number | undefined;
  readonly idempotency?: Idempotency | undefined;
  readonly reference?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Who asks for it: see actors.ts. */
  readonly actor?: number | undefined;
  /** Whose its key is; undefined for who may see what is stored under anybody's. */
  readonly client?: number | undefined;
}

interface OfSomeKinds {
  readonly toUserId?: undefined;
  readonly operationId?: undefined;
  readonly lifetimeSeconds?: undefined;
  readonly legs?: undefined;
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
  | "HOLD_LIMIT_EXCEEDED"
  | "IDEMPOTENCY_KEY_REUSED";

export type Outcome<O extends Operation = Operation> = Applied<O> | Refused;

/** The balance and the version are the user's, right after the operation. */
export interface Applied<O extends Operation = Operation> extends Answered {
  readonly refusal: null;
  readonly balance: number;
  /** Right before it; of a batch of transfers, before its first leg. */
  readonly previousBalance: number;
  readonly version: number;
  /** Of a capture or a void: the whole hold. */
  readonly amount: O extends TouchOperation ? null : number;
  readonly refusedLeg: null;
  /** The transfer or the hold. As stored when replayed, else as asked. */
  readonly operationId: O extends { readonly operationId: string } ? string : null;
  readonly createdUserId: O extends OpeningOperation ? number : null;
  /** As the operation left it. */
  readonly hold: O extends HoldOperation | CaptureOperation | VoidOperation ? Hold : null;
}

export interface Refused extends Answered {
  readonly refusal: Refusal;
  /** Null when there is no such user. */
  readonly balance: number | null;
  readonly version: number | null;
  /** Which of an operation and its legs it was, from 1; null without legs. */
  readonly refusedLeg: number | null;
  /** HOLD_CLOSED: how it had ended; null otherwise. */
  readonly holdState: HoldState | null;
  readonly previousBalance: null;
  readonly amount: null;
  readonly operationId: null;
  readonly createdUserId: null;
  readonly hold: null;
}

interface Answered {
  /** True when an idempotency key had the answer and nothing was done now. */
  readonly replayed: boolean;
  /** Milliseconds since 1970: the time stamped on the entries. */
  readonly decidedAtMs: number;
}
