/** Failed batches in the log: at most one line a second for each lane, with a count of the rest. */
import type { BalancectlError } from "../errors.ts";
import type { LedgerObserver } from "../ledger/observer.ts";
import type { Logger } from "../log.ts";

export interface FailureLog extends LedgerObserver {
  /** Says what was only counted so far. */
  end(): void;
}

interface Counted {
  batches: number;
  operations: number;
  last: BalancectlError;
}

export function logFailures(log: Logger, everyMs = 1_000): FailureLog {
  /** By lane, for those that have said something within `everyMs`: what has failed since. */
  const silenced = new Map<number, Counted | undefined>();

  function say(lane: number, { batches, operations, last }: Counted): void {
    const { code, message, cause } = last;
    log.error({ lane, batches, operations, code, err: cause }, message);
  }

  function silence(lane: number): void {
    silenced.set(lane, undefined);
    setTimeout(() => {
      const counted = silenced.get(lane);
      silenced.delete(lane);
      if (counted === undefined) return;
      say(lane, counted);
      silence(lane);
    }, everyMs).unref();
  }

  return {
    batchFailed: ({ lane, operations, error }) => {
      if (!silenced.has(lane)) {
        say(lane, { batches: 1, operations, last: error });
        silence(lane);
        return;
      }
      const before = silenced.get(lane);
      silenced.set(lane, {
        batches: (before?.batches ?? 0) + 1,
        operations: (before?.operations ?? 0) + operations,
        last: error,
      });
    },
    end: () => {
      for (const [lane, counted] of silenced) if (counted !== undefined) say(lane, counted);
      silenced.clear();
    },
  };
}
