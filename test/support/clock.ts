/** Time that stands still until a test moves it. */
export interface Clock {
  /** The moment it shows, as what the ledger takes for the database's clock. */
  now(): Date;
  /** Moves it; a negative number of seconds sets it back. */
  advance(seconds: number): Date;
}

/** Begins in 2020, so that a test can move it on by years before it comes to the real time. */
export function createClock(start = "2020-01-01T00:00:00.000Z"): Clock {
  let ms = Date.parse(start);
  return {
    now: () => new Date(ms),
    advance: (seconds) => {
      ms += seconds * 1_000;
      return new Date(ms);
    },
  };
}
