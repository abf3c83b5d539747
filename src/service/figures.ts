import type { LedgerState } from "../ledger/observer.ts";

/** What a service is at, in this moment. */
export interface Figures extends LedgerState {
  /** How many processes it is made of. */
  readonly processes: number;
}

/** Of several processes together; lanes with one number in different processes are different lanes. */
export function sumOf(parts: readonly Figures[]): Figures {
  const sum = (part: (figures: Figures) => number) =>
    parts.reduce((total, figures) => total + part(figures), 0);
  return {
    processes: sum(({ processes }) => processes),
    waiting: sum(({ waiting }) => waiting),
    inFlight: sum(({ inFlight }) => inFlight),
    lanes: parts.flatMap(({ lanes }) => lanes),
  };
}
