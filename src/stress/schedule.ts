/** When the requests of an open loop are meant to leave: known before the first one does. */
export interface Schedule {
  /** Intended starts a second. */
  readonly rate: number;
  readonly durationSeconds: number;
  readonly count: number;
  /** When request `index`, counted from 0, is meant to leave, in ms from the beginning. */
  dueMs(index: number): number;
  /** How many requests are due `elapsedMs` after the beginning, those that have left included. */
  dueCount(elapsedMs: number): number;
}

/** A constant rate, whole numbers: request i is due after i / rate seconds, the first one at 0. */
export function createSchedule(rate: number, durationSeconds: number): Schedule {
  const count = rate * durationSeconds;
  // Multiplied first: the quotient of two whole numbers is rounded once and does not drift.
  const dueMs = (index: number) => (index * 1000) / rate;
  return {
    rate,
    durationSeconds,
    count,
    dueMs,
    dueCount(elapsedMs) {
      if (elapsedMs < 0) return 0;
      const due = Math.min(Math.floor((elapsedMs * rate) / 1000) + 1, count);
      // The product is rounded too: what is due is what dueMs says, to the last bit.
      if (dueMs(due - 1) > elapsedMs) return due - 1;
      return due < count && dueMs(due) <= elapsedMs ? due + 1 : due;
    },
  };
}
