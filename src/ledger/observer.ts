/** What metrics and logs hang on. */
import { BalancectlError } from "../errors.ts";
import type { Undecided } from "./apply-batch.ts";
import type { Outcome, Refusal } from "./operation.ts";

/** Called synchronously: keep it short. One that throws is not minded. */
export interface LedgerObserver {
  batchCommitted?(batch: CommittedBatch): void;
  batchFailed?(batch: { lane: number; operations: number; error: BalancectlError }): void;
}

export interface CommittedBatch {
  readonly lane: number;
  /** How many were answered. */
  readonly operations: number;
  /** Of those, how many an idempotency key had the answer of. */
  readonly replays: number;
  /** Of those that were not replays, how many were refused, by reason. */
  readonly refusals: ReadonlyMap<Refusal, number>;
  /** From the moment it left to its answer. */
  readonly durationMs: number;
}

/** What the ledger is at, in this moment. An operation with its legs counts one. */
export interface LedgerState {
  /** Operations that have not left yet. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Those of them in which something waits or flies. */
  readonly lanes: readonly LaneState[];
}

export interface LaneState {
  readonly lane: number;
  readonly waiting: number;
  readonly inFlight: number;
}

export interface Telling {
  /** @param outcomes undecided ones go on waiting, and do not count */
  committed(lane: number, outcomes: readonly (Outcome | Undecided)[], durationMs: number): void;
  failed(lane: number, operations: number, error: unknown): void;
}

/** Tells all of them. One that fails must not stop a lane: its operations would never be answered. */
export function telling(observers: readonly LedgerObserver[]): Telling {
  const tell = (observe: (observer: LedgerObserver) => void) => {
    for (const observer of observers) {
      try {
        observe(observer);
      } catch {
        // Nothing to tell it to.
      }
    }
  };
  const anyCounts = observers.some(({ batchCommitted }) => batchCommitted !== undefined);
  return {
    committed: (lane, outcomes, durationMs) => {
      if (!anyCounts) return;
      const batch = { lane, ...counted(outcomes), durationMs };
      tell((observer) => observer.batchCommitted?.(batch));
    },
    failed: (lane, operations, error) => {
      if (!(error instanceof BalancectlError)) return;
      tell((observer) => observer.batchFailed?.({ lane, operations, error }));
    },
  };
}

function counted(
  outcomes: readonly (Outcome | Undecided)[],
): Pick<CommittedBatch, "operations" | "replays" | "refusals"> {
  let operations = 0;
  let replays = 0;
  const refusals = new Map<Refusal, number>();
  for (const outcome of outcomes) {
    if (typeof outcome === "string") continue;
    operations += 1;
    if (outcome.replayed) replays += 1;
    else if (outcome.refusal !== null) {
      refusals.set(outcome.refusal, (refusals.get(outcome.refusal) ?? 0) + 1);
    }
  }
  return { operations, replays, refusals };
}
