/** The ledger: everything that can be asked of balances, on one database. */
import type { Config } from "../config.ts";
import type { Database } from "../database/connection.ts";
import { type Actors, createActors } from "./actors.ts";
import { applyBatch } from "./apply-batch.ts";
import { createGroupCommit } from "./group-commit.ts";
import type { LedgerObserver, LedgerState } from "./observer.ts";
import type { OpeningOperation, Operation, Outcome } from "./operation.ts";
import { pruneKeys } from "./prune.ts";
import { createReads, type Reads } from "./reads.ts";
import { opening, touch, type WriteOptions } from "./request.ts";
import { createUserIds } from "./user-ids.ts";

export interface Ledger extends Reads {
  /** The one way to change a balance. Refusals are outcomes; @throws BalancectlError on failures. */
  apply<O extends Operation>(operation: O): Promise<Outcome<O>>;
  /** Opens a user under the id asked for, or the next free one. */
  openUser(request: OpenUserRequest, options?: WriteOptions): Promise<Outcome<OpeningOperation>>;
  /** Removes idempotency keys older than `days`, a bounded step at a time. @returns how many */
  pruneKeys(
    days: number,
    by: string,
    onProgress: (removed: number) => void,
    signal: AbortSignal,
  ): Promise<number>;
  /** What waits and what is in flight. */
  state(): LedgerState;
  /** Resolves when every change that was asked for has been answered. */
  drained(): Promise<void>;
}

export interface OpenUserRequest {
  readonly id?: number | undefined;
  readonly balance: number;
}

export interface LedgerOptions {
  readonly bounds: Pick<
    Config,
    | "lanes"
    | "batchSizeMax"
    | "waitingMax"
    | "lockTimeoutMs"
    | "statementTimeoutMs"
    | "idempotencyDays"
  >;
  readonly observers?: readonly LedgerObserver[] | undefined;
  /** Who asks for what says nothing of it: asked when the first change is made. */
  readonly actor?: ((actors: Actors) => Promise<number>) | undefined;
  /** Stands in for the database's clock; for tests. */
  readonly now?: (() => Date) | undefined;
}

export function createLedger(database: Database, options: LedgerOptions): Ledger {
  const now = options.now ?? (() => null);
  const keyLifetimeSeconds = options.bounds.idempotencyDays * 86_400;
  const commit = createGroupCommit({
    ...options.bounds,
    // As long as one that is ahead may take: all that a lane is given time for.
    leaveWithinMs: options.bounds.lockTimeoutMs + options.bounds.statementTimeoutMs,
    observers: options.observers,
    apply: (operations, lane, lockWait) =>
      applyBatch(database.writer(lane), operations, { keyLifetimeSeconds, now: now(), lockWait }),
  });
  const userIds = createUserIds(database);
  const actors = createActors(database);
  const submit = options.actor ? byDefault(() => options.actor?.(actors)) : commit.submit;
  // What comes back fits what was asked: apply-batch.ts makes one of the other.
  const apply = submit as Ledger["apply"];

  function byDefault(ask: () => Promise<number> | undefined) {
    let actor: Promise<number> | undefined;
    return async (operation: Operation) => {
      actor ??= ask();
      return await commit.submit({ ...operation, actor: operation.actor ?? (await actor) });
    };
  }

  async function openUser(
    request: OpenUserRequest,
    writeOptions: WriteOptions = {},
  ): Promise<Outcome<OpeningOperation>> {
    const { id, balance } = request;
    if (id !== undefined) return await apply(opening(id, balance, id, writeOptions));
    return await userIds.open((next) => apply(opening(next, balance, undefined, writeOptions)));
  }

  return {
    ...createReads(database, actors, now, (userId) => commit.submit(touch(userId))),
    apply,
    openUser,
    pruneKeys: async (days, by, onProgress, signal) =>
      await pruneKeys(database.writer(0), days, by, onProgress, signal),
    state: commit.state,
    drained: commit.drained,
  };
}
