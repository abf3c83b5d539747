/** Counts outcomes as they come in, of each user: buckets, and what the successes claim. */
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

/** Of one user, or of several together. */
export interface UserCounts {
  readonly succeeded: number;
  readonly insufficientFunds: number;
  readonly failed: number;
  readonly answered: AnsweredBalances;
}

export interface Counts extends UserCounts {
  readonly failures: readonly FailureCount[];
}

export interface Tally {
  readonly latency: LatencyRecorder;
  /** `user` is an index, from 0 on. */
  add(outcome: Outcome, latencyMs: number, user?: number): void;
  failed(): number;
  /** Of all users together. */
  counts(): Counts;
  countsOf(user: number): UserCounts;
}

// A server that answers a new code each time must not fill the memory, nor the screen.
const causesMax = 50;

/**
 * For withdrawals of `amount` from users who had `balanceBefore` each: `requests` has for every
 * user how many of them there are at most.
 */
export function createTally(
  balanceBefore: number,
  amount: number,
  requests: ArrayLike<number>,
): Tally {
  const latency = createLatencyRecorder();
  const failures = createFailureCounts();
  const users = createUserCounts(balanceBefore, amount, requests);
  let failed = 0;

  const fail = (kind: FailureCount["kind"], cause: string, user: number) => {
    failed++;
    users.failed(user);
    failures.add(kind, cause);
  };
  return {
    latency,
    add(outcome, latencyMs, user = 0) {
      if (outcome.kind === "noAnswer") return fail(outcome.kind, outcome.cause, user);
      latency.record(latencyMs);
      if (outcome.kind === "answer") return fail(outcome.kind, outcome.cause, user);
      if (outcome.kind === "insufficientFunds") users.refused(user);
      else users.succeeded(user, outcome.balance);
    },
    failed: () => failed,
    counts: () => ({ ...users.total(), failures: failures.sorted() }),
    countsOf: users.of,
  };
}

/** A few numbers for every user, so that a hundred thousand of them take a few megabytes. */
function createUserCounts(balanceBefore: number, amount: number, requests: ArrayLike<number>) {
  const succeeded = new Uint32Array(requests.length);
  const refused = new Uint32Array(requests.length);
  const failed = new Uint32Array(requests.length);
  // Only for users with a success: most of a long tail never have one.
  const answered = new Map<number, ReturnType<typeof createAnsweredBalances>>();
  const of = (user: number): UserCounts => ({
    succeeded: succeeded[user] ?? 0,
    insufficientFunds: refused[user] ?? 0,
    failed: failed[user] ?? 0,
    answered: answered.get(user)?.seen() ?? { repeated: 0, impossible: 0 },
  });
  return {
    succeeded(user: number, balance: number): void {
      succeeded[user] = (succeeded[user] ?? 0) + 1;
      let balances = answered.get(user);
      if (!balances) {
        balances = createAnsweredBalances(balanceBefore, amount, requests[user] ?? 0);
        answered.set(user, balances);
      }
      balances.add(balance);
    },
    refused(user: number): void {
      refused[user] = (refused[user] ?? 0) + 1;
    },
    failed(user: number): void {
      failed[user] = (failed[user] ?? 0) + 1;
    },
    of,
    total(): UserCounts {
      let total = of(0);
      for (let user = 1; user < requests.length; user++) total = add(total, of(user));
      return total;
    },
  };
}

function add(a: UserCounts, b: UserCounts): UserCounts {
  return {
    succeeded: a.succeeded + b.succeeded,
    insufficientFunds: a.insufficientFunds + b.insufficientFunds,
    failed: a.failed + b.failed,
    answered: {
      repeated: a.answered.repeated + b.answered.repeated,
      impossible: a.answered.impossible + b.answered.impossible,
    },
  };
}

function createFailureCounts() {
  const failures = new Map<string, { kind: FailureCount["kind"]; cause: string; count: number }>();
  return {
    add(kind: FailureCount["kind"], cause: string): void {
      let key = `${kind} ${cause}`;
      if (!failures.has(key) && failures.size >= causesMax) key = `${kind} others`;
      const known = failures.get(key);
      if (known) known.count++;
      else failures.set(key, { kind, cause: key.slice(kind.length + 1), count: 1 });
    },
    sorted: (): FailureCount[] => [...failures.values()].sort((a, b) => b.count - a.count),
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
