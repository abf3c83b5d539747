/** What programs ask the ledger in their own process, and what it says. Amounts are whole numbers in minor units. */
// Nothing is imported: what is shipped is these declarations, and not those of the ledger's insides.

export interface Writing {
  readonly idempotencyKey?: string;
  readonly reference?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Refuse when less than this would be left. */
  readonly minBalance?: number;
  /** Refuse unless the user is at this version. */
  readonly ifVersion?: number;
}

export interface Adjustment extends Writing {
  readonly userId: number;
  /** Signed, not 0. */
  readonly amount: number;
}

export interface Transfer extends Writing {
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

export interface Hold extends Writing {
  readonly userId: number;
  readonly amount: number;
  /** Seconds; never when it is left out. */
  readonly expiresIn?: number;
}

export interface Capture extends Writing {
  readonly userId: number;
  readonly holdId: string;
  /** All of the hold when it is left out. */
  readonly amount?: number;
  /** Who is paid; nobody in this ledger when it is left out. */
  readonly to?: number;
}

export type Void = Omit<Writing, "minBalance"> & {
  readonly userId: number;
  readonly holdId: string;
};

export type Opening = Omit<Writing, "minBalance" | "ifVersion"> & {
  /** The next that is free when it is left out. */
  readonly userId?: number;
  readonly balance?: number;
};

/** Refusals are values: what the ledger said no to has changed nothing. Failures are thrown. */
export type Verdict = Done | Refused;

export interface Done {
  readonly refusal: null;
  /** The user's, right after it; of a transfer, the payer's. */
  readonly balance: number;
  readonly previousBalance: number;
  readonly version: number;
  /** Whether the idempotency key had the answer, and nothing was done now. */
  readonly replayed: boolean;
  /** The transfer or the hold. */
  readonly operationId?: string;
  /** Of an opening. */
  readonly userId?: number;
}

export interface Refused {
  readonly refusal: Refusal;
  /** Null where there is no such user. */
  readonly balance: number | null;
  readonly version: number | null;
  readonly replayed: boolean;
}

/** Every change there is. @throws BalancectlError INVALID_REQUEST; failures, whose `applied` says what became of it */
export interface Door {
  adjust(request: Adjustment): Promise<Verdict>;
  transfer(request: Transfer): Promise<Verdict>;
  hold(request: Hold): Promise<Verdict>;
  capture(request: Capture): Promise<Verdict>;
  void(request: Void): Promise<Verdict>;
  openUser(request?: Opening): Promise<Verdict>;
}

/** A transaction that is open: pg's Client and PoolClient, and what adapters.ts makes of others'. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

export interface Entries {
  readonly order?: "asc" | "desc";
  /** Half-open: from <= time < to. */
  readonly from?: Date;
  readonly to?: Date;
  readonly actor?: string;
}

export interface Entry {
  readonly userId: number;
  /** Counts the user's entries from 1. */
  readonly version: number;
  readonly amount: number;
  /** Right after it. */
  readonly balance: number;
  readonly kind:
    | "opening"
    | "adjustment"
    | "transfer"
    | "hold"
    | "release"
    | "capture"
    | "void"
    | "expiry";
  /** The transfer or the hold. */
  readonly operationId: string | null;
  readonly reference: string | null;
  readonly metadata: Record<string, unknown> | null;
  /** Who asked for it, like "role:shop". */
  readonly actor: string | null;
  readonly createdAt: Date;
}

export interface User {
  readonly id: number;
  readonly balance: number;
  readonly held: number;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface Verification {
  readonly ok: boolean;
  readonly users: number;
  readonly entries: number;
  readonly findings: readonly {
    readonly check: string;
    readonly userId: number | null;
    readonly version: number | null;
    readonly expected: string;
    readonly found: string;
  }[];
}

/** Why the ledger said no. */
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
