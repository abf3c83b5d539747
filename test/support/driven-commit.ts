/** Group commit driven by hand: `apply` answers when the test says so. */
import pg from "pg";
import { translateError } from "../../src/database/translate-error.ts";
import { BalancectlError } from "../../src/errors.ts";
import { createGroupCommit, type GroupCommitOptions } from "../../src/ledger/group-commit.ts";
import type { LockWait } from "../../src/ledger/lock-wait.ts";
import type { Operation, Outcome, Refusal, Refused } from "../../src/ledger/operation.ts";

export interface Batch {
  /** What was asked for, as "user:amount". */
  readonly asked: string[];
  readonly lane: number;
  readonly lockWait: LockWait;
  /** Answers each operation with its own amount as the balance. */
  commit(): void;
  /** Answers all but those on these users, whom another session has locked. */
  passBy(...locked: number[]): void;
  fail(error: unknown): void;
  answer(outcomes: Outcome[]): void;
}

/** A group commit whose batches are taken, in the order they left, with `batch()`. */
export function driven(options: Partial<GroupCommitOptions> = {}) {
  const left: Batch[] = [];
  let awaited: ((batch: Batch) => void) | undefined;
  const commit = createGroupCommit({
    lanes: 1,
    batchSizeMax: 500,
    waitingMax: 1_000,
    lockTimeoutMs: 2_000,
    // What a test leaves behind is not told that it is late, when nobody listens any more.
    leaveWithinMs: 86_400_000,
    apply: (operations, lane, lockWait) =>
      new Promise((resolve, reject) => {
        const batch: Batch = {
          lane,
          lockWait,
          asked: operations.map(({ userId, amount }) => `${userId}:${amount}`),
          commit: () => resolve({ outcomes: operations.map(outcome), locked: [] }),
          passBy: (...locked) => {
            const isLocked = ({ userId }: Operation) => locked.includes(userId);
            const outcomes = operations.map((one) => (isLocked(one) ? "locked" : outcome(one)));
            resolve({ outcomes, locked });
          },
          fail: reject,
          answer: (outcomes) => resolve({ outcomes, locked: [] }),
        };
        if (awaited) awaited(batch);
        else left.push(batch);
        awaited = undefined;
      }),
    ...options,
  });
  return {
    ...commit,
    batch: (): Promise<Batch> => {
      const batch = left.shift();
      if (batch) return Promise.resolve(batch);
      return new Promise((resolve) => {
        awaited = resolve;
      });
    },
    /** The same, without giving anything the time to run. */
    unseenNow: () => left.length,
    /** How many batches have left and were not taken, after everything that is due has run. */
    unseen: async () => {
      await turn();
      await turn();
      return left.length;
    },
  };
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** @param more fields of another kind; what is driven by hand asks no more of an operation */
export function change(userId: number, amount: number, more: object = {}): Operation {
  return { kind: "adjustment", userId, amount, ...more };
}

export function keyed(userId: number, amount: number, key: string, more: object = {}): Operation {
  return change(userId, amount, { idempotency: { key, fingerprint: `[${amount}]` }, ...more });
}

export function outcome({ amount }: Operation): Outcome {
  return {
    refusal: null,
    balance: amount ?? 0,
    previousBalance: 0,
    version: 1,
    amount,
    replayed: false,
    operationId: null,
    createdUserId: null,
    hold: null,
    refusedLeg: null,
    decidedAtMs: 0,
  };
}

export function refusedOutcome(refusal: Refusal): Refused {
  return {
    refusal,
    balance: 0,
    previousBalance: null,
    version: 1,
    amount: null,
    replayed: false,
    operationId: null,
    createdUserId: null,
    hold: null,
    holdState: null,
    refusedLeg: null,
    decidedAtMs: 0,
  };
}

/** A promise that says how it stands. */
export function watched(promise: Promise<Outcome>) {
  const seen = { state: "waiting" as string };
  const done = promise.then(
    ({ balance }) => {
      seen.state = `balance ${balance}`;
    },
    (error) => {
      seen.state = error instanceof BalancectlError ? error.code : String(error);
    },
  );
  return { seen, done };
}

export async function states(promises: readonly Promise<Outcome>[]): Promise<string[]> {
  const all = promises.map(watched);
  await Promise.all(all.map(({ done }) => done));
  return all.map(({ seen }) => seen.state);
}

/** As PostgreSQL reports it: certain that nothing was done. */
export function databaseError(code: string): BalancectlError {
  const error = new pg.DatabaseError("no", 0, "error");
  error.code = code;
  error.routine = "ProcessInterrupts";
  return translateError(error, true);
}
