/** Counts outcomes as they come in: buckets, latencies, and what the successes claim. */
import type { Outcome } from "./answer.ts";
import { createLatencyRecorder, type LatencyRecorder } from "./latency.ts";

/** Requests that were neither a success nor the expected refusal, by what happened to them. */
export interface FailureCount {
  readonly kind: "answer" | "noAnswer";
  readonly cause: string;
  readonly count: number;
}

/** What the balances in the successes' answers look like, taken together. */
export interface AnsweredBalances {
  /** Successes whose balance another success had answered before. */
  readonly repeated: number;
  /** Successes whose balance no number of withdrawals can leave behind. */
  readonly impossible: number;
}

export interface Counts {
  readonly succeeded: number;
  readonly insufficientFunds: number;
  readonly failed: number;
  readonly failures: readonly FailureCount[];
  readonly answered: AnsweredBalances;
}

export interface Tally {
  readonly latency: LatencyRecorder;
  add(outcome: Outcome, latencyMs: number): void;
  failed(): number;
  counts(): Counts;
}

// A server that answers a new code each time must not fill the memory, nor the screen.
const causesMax = 50;

/** For withdrawals of `amount` from a user who had `balanceBefore`, at most `count` of them. */
export function createTally(balanceBefore: number, amount: number, count: number): Tally {
  const latency = createLatencyRecorder();
  const answered = createAnsweredBalances(balanceBefore, amount, count);
  const failures = new Map<string, { kind: FailureCount["kind"]; cause: string; count: number }>();
  let succeeded = 0;
  let insufficientFunds = 0;
  let failed = 0;

  const countFailure = (kind: FailureCount["kind"], cause: string) => {
    failed++;
    let key = `${kind} ${cause}`;
    if (!failures.has(key) && failures.size >= causesMax) key = `${kind} others`;
    const known = failures.get(key);
    if (known) known.count++;
    else failures.set(key, { kind, cause: key.slice(kind.length + 1), count: 1 });
  };
  return {
    latency,
    add(outcome, latencyMs) {
      if (outcome.kind === "noAnswer") return countFailure(outcome.kind, outcome.cause);
      latency.record(latencyMs);
      if (outcome.kind === "answer") return countFailure(outcome.kind, outcome.cause);
      if (outcome.kind === "insufficientFunds") {
        insufficientFunds++;
        return;
      }
      succeeded++;
      answered.add(outcome.balance);
    },
    failed: () => failed,
    counts() {
      const sorted = [...failures.values()].sort((a, b) => b.count - a.count);
      return { succeeded, insufficientFunds, failed, failures: sorted, answered: answered.seen() };
    },
  };
}

/**
 * Withdrawals of one amount leave balances on a chain: balance - amount, balance - 2 amount, and
 * so on, each exactly once. One bit for every link, so a million successes take 125 kB.
 */
function createAnsweredBalances(balanceBefore: number, amount: number, count: number) {
  const linksMax = Math.min(count, Math.floor(balanceBefore / amount));
  const seenLinks = new Uint8Array((linksMax >> 3) + 1);
  let repeated = 0;
  let impossible = 0;
  return {
    add(balance: number): void {
      const link = (balanceBefore - balance) / amount;
      if (!Number.isInteger(link) || link < 1 || link > linksMax) {
        impossible++;
        return;
      }
      const bit = 1 << (link & 7);
      const byte = seenLinks[link >> 3] ?? 0;
      if (byte & bit) repeated++;
      seenLinks[link >> 3] = byte | bit;
    },
    seen: (): AnsweredBalances => ({ repeated, impossible }),
  };
}
