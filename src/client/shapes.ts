/** What is asked and answered, in the types of the API's own contract. Types alone: nothing of it is loaded. */
import type { z } from "zod";
import type * as answers from "../http/contract/answers.ts";
import type * as requests from "../http/contract/requests.ts";

/** Balances and amounts are integers in minor units, and safe ones (up to 2^53 - 1). Times are RFC 3339. */
export type User = z.output<typeof answers.user>;
export type UserAt = z.output<typeof answers.userAt>;
export type UserInList = z.output<typeof answers.userInList>;
export type Adjusted = z.output<typeof answers.adjusted>;
export type Transfer = z.output<typeof answers.transfer>;
export type TransferMade = z.output<typeof answers.transferMade>;
export type TransfersMade = z.output<typeof answers.transfersMade>;
export type Hold = z.output<typeof answers.hold>;
export type HoldMade = z.output<typeof answers.holdMade>;
export type HoldClosed = z.output<typeof answers.holdClosed>;
export type Entry = z.output<typeof answers.entry>;
export type StoredOperation = z.output<typeof answers.storedOperation>;
export type Alive = z.output<typeof answers.alive>;
export type Ready = z.output<typeof answers.ready>;

export type OpeningBody = z.input<typeof requests.openingBody>;
export type AdjustmentBody = z.input<typeof requests.adjustmentBody>;
export type TransferBody = z.input<typeof requests.transferBody>;
export type HoldBody = z.input<typeof requests.holdBody>;
export type CaptureBody = z.input<typeof requests.captureBody>;
export type VoidBody = z.input<typeof requests.voidBody>;

/** What every call may be given. Milliseconds. */
export interface CallOptions {
  /** Ends the call, with code ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** For all tries and the waits between them. */
  readonly timeoutMs?: number | undefined;
  /** For each try. */
  readonly tryTimeoutMs?: number | undefined;
}

/** What every change may be given beside. */
export interface ChangeOptions extends CallOptions {
  /** 1 to 255 visible ASCII characters. Without one the call has one of its own, for all of its tries. */
  readonly idempotencyKey?: string | undefined;
  /** Refuse (PRECONDITION_FAILED) unless the user is at this version. */
  readonly ifVersion?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Items a request: 100, at most 1,000. */
  readonly pageSize?: number | undefined;
  /** Where to begin, as a page told. */
  readonly cursor?: string | undefined;
}

export interface UsersOptions extends ListOptions {
  /** Only users with ids beyond this one. Not with `cursor`, which says where to go on. */
  readonly after?: number | undefined;
}

export interface EntriesOptions extends ListOptions {
  /** Newest first ("desc") unless told otherwise. */
  readonly order?: "asc" | "desc" | undefined;
  /** From this moment on. */
  readonly from?: Date | string | undefined;
  /** Before this moment. */
  readonly to?: Date | string | undefined;
  /** Only what they asked for, like "token:k3x8w2ab". */
  readonly actor?: string | undefined;
}

/** What a change tells beside its data. */
export interface Outcome {
  /** The key it was made under: whoever sends it again under this key is answered the same. */
  readonly idempotencyKey: string;
  /** Made before, by an earlier call or an earlier try of this one, and answered again. */
  readonly replayed: boolean;
}

export interface Versioned {
  /** The user's, for `ifVersion`; undefined where a proxy has taken the ETag away. */
  readonly version: number | undefined;
}
