/** How long a batch waits in PostgreSQL for users that another session has locked. */
import type { Lane } from "./lanes.ts";
import type { LockedAccounts } from "./locked-accounts.ts";
import type { Waiting } from "./take-batch.ts";

/** `sharedLockWaitMs` (database/connection.ts), so many milliseconds, or not at all. */
export type LockWait = "shared" | "none" | number;

/** A locked user who is alone in a lane is waited for in PostgreSQL's own queue, in pieces of this. */
const aloneLockWaitMs = 500;

export function lockWaitOf(
  { kind }: Lane,
  batch: readonly Waiting[],
  lockedAccounts: LockedAccounts,
  lockTimeoutMs: number,
): LockWait {
  if (kind === "shared") return "shared";
  if (kind === "asking") return "none";
  if (batch.every(({ operation }) => lockedAccounts.among(operation)?.isStuck)) return "none";
  const userId = batch[0]?.ride.userId;
  if (batch.some(({ ride }) => ride.userId !== userId)) return "shared";
  const lastMs = Math.max(...batch.map(({ deadline }) => deadline)) - performance.now();
  return Math.ceil(Math.min(aloneLockWaitMs, lockTimeoutMs, Math.max(lastMs, 1)));
}
