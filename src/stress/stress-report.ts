/** The result of a run: JSON as it stands. */
import type { Departures } from "./arrival.ts";
import { type HistogramBucket, latencyBuckets } from "./histogram.ts";
import { type Expected, judge, type RunEvidence } from "./judge.ts";
import { judgeUsers, type NamedUserEvidence } from "./judge-users.ts";
import type { LatencyPercentiles } from "./latency.ts";
import type { Schedule } from "./schedule.ts";
import type { Subject, SubjectAfter } from "./subject.ts";
import type { FailureCount, Tally } from "./tally.ts";
import type { Picks } from "./user-picks.ts";

export interface StressReport {
  readonly url: string;
  /** "open": requests left on a schedule. "closed": each left when one before it was answered. */
  readonly mode: "closed" | "open";
  /** What each withdrawal took, positive. */
  readonly amount: number;
  /** How many were asked for; in an open loop `rate` times `durationSeconds`. */
  readonly requests: number;
  /**
   * How many were sent: fewer only when interrupted, or when some of an open loop still waited for
   * a free socket a whole timeout after the last of them was due.
   */
  readonly sent: number;
  /** Requests that were due each second; null in a closed loop, as are the next five. */
  readonly rate: number | null;
  readonly durationSeconds: number | null;
  /** How many really left each second, up to the last one. */
  readonly startsPerSecond: number | null;
  /** Requests for which no socket was free when they were due. */
  readonly lateStarts: number | null;
  /** How many of them waited at the same time, at the most. */
  readonly backlogMax: number | null;
  /** From the intended start to the real one, whatever the reason: a part of `latencyMs`. */
  readonly startDelayMs: LatencyPercentiles | null;
  /** In flight at once, at the most: never more than there are requests. */
  readonly concurrency: number;
  /** Sockets really open at the same time, at the most. */
  readonly sockets: number;
  readonly succeeded: number;
  readonly insufficientFunds: number;
  /** Any other answer, or none. */
  readonly failed: number;
  readonly failures: readonly FailureCount[];
  readonly expected: Expected;
  /** The user of the run; null where there were several. */
  readonly user: {
    readonly id: number;
    readonly balanceBefore: number;
    /** Null where it could not be read back. */
    readonly balanceAfter: number | null;
  } | null;
  /** All users, also where it was one: how many, and the sums of their balances. */
  readonly users: {
    readonly count: number;
    readonly balanceBefore: number;
    /** Null where one could not be read back. */
    readonly balanceAfter: number | null;
  };
  /** The exponent of Zipf's law by which users were picked; 0 for all alike. */
  readonly skew: number;
  /** Picks the same users in the same order again; null where there was no choice. */
  readonly seed: number | null;
  /**
   * Of a user created for the run the whole journal, its opening entry included; of a given user
   * the entries since the start of the run. `sum` is of their amounts. Of several users the totals,
   * `gapFree` where each one is. Null where not read back, be it of one user.
   */
  readonly journal: {
    readonly entries: number;
    readonly sum: number;
    readonly gapFree: boolean;
  } | null;
  /** From the first request to the last outcome: neither opening sockets nor reading back. */
  readonly durationMs: number;
  /** Full answers a second, of whatever kind. */
  readonly requestsPerSecond: number;
  /**
   * To the last byte, over the requests that were answered: in a closed loop from dispatch, in an
   * open loop from the intended start.
   */
  readonly latencyMs: LatencyPercentiles;
  readonly histogram: readonly HistogramBucket[];
  readonly interrupted: boolean;
  /** One sentence, expected against seen, for every check that did not hold. */
  readonly findings: readonly string[];
  readonly verdict: "pass" | "fail";
}

/** What a run leaves behind for its report; arrays are by user, in the order of their ids. */
export interface FinishedRun extends Departures {
  readonly url: URL;
  readonly amount: number;
  readonly requests: number;
  readonly concurrency: number;
  readonly picks: Picks;
  readonly schedule: Schedule | null;
  readonly sockets: number;
  readonly durationMs: number;
  readonly interrupted: boolean;
  readonly tally: Tally;
  readonly requestsOf: ArrayLike<number>;
  readonly before: readonly Subject[];
  readonly after: readonly SubjectAfter[];
}

export function buildReport(run: FinishedRun): StressReport {
  const { url, amount, requests, sent, concurrency, sockets, interrupted, tally, schedule } = run;
  const { lateness, picks, durationMs } = run;
  const counts = tally.counts();
  const evidence = { requests, sent, concurrency, sockets, interrupted, counts };
  const users = collectUsers(run);
  const { verdict, expected, findings } = judgeRun(evidence, users);
  const { succeeded, insufficientFunds, failed, failures } = counts;
  const answered = tally.latency.count();
  return {
    url: url.href,
    mode: schedule ? "open" : "closed",
    amount,
    requests,
    sent,
    rate: schedule?.rate ?? null,
    durationSeconds: schedule?.durationSeconds ?? null,
    startsPerSecond: lateness && Number(lateness.startsPerSecond.toPrecision(4)),
    lateStarts: lateness?.lateStarts ?? null,
    backlogMax: lateness?.backlogMax ?? null,
    startDelayMs: lateness?.startDelayMs ?? null,
    concurrency,
    sockets,
    succeeded,
    insufficientFunds,
    failed,
    failures,
    expected,
    user: onlyUser(users),
    users: sumBalances(users),
    skew: picks.skew,
    seed: picks.users > 1 ? picks.seed : null,
    journal: sumJournals(users),
    durationMs: Math.round(durationMs),
    requestsPerSecond: Math.round(answered / Math.max(durationMs / 1000, 1e-6)),
    latencyMs: tally.latency.percentiles(),
    histogram: latencyBuckets(tally.latency.recorded()),
    interrupted,
    findings,
    verdict,
  };
}

function collectUsers({ amount, tally, requestsOf, before, after }: FinishedRun) {
  return before.map((user, index): NamedUserEvidence => {
    const seen = after[index];
    return {
      id: user.id,
      requests: requestsOf[index] ?? 0,
      amount,
      counts: tally.countsOf(index),
      balanceBefore: user.balance,
      balanceAfter: seen?.balance ?? null,
      created: user.created,
      versionBefore: user.version,
      journal: seen?.journal ?? null,
      readProblem: seen?.problem ?? null,
    };
  });
}

function judgeRun(evidence: RunEvidence, users: readonly NamedUserEvidence[]) {
  const [user] = users;
  if (user === undefined || users.length > 1) return judgeUsers(evidence, users);
  return judge({ ...user, ...evidence });
}

function onlyUser(users: readonly NamedUserEvidence[]): StressReport["user"] {
  const [user] = users;
  if (user === undefined || users.length > 1) return null;
  return { id: user.id, balanceBefore: user.balanceBefore, balanceAfter: user.balanceAfter };
}

function sumBalances(users: readonly NamedUserEvidence[]): StressReport["users"] {
  let before = 0;
  let after: number | null = 0;
  for (const { balanceBefore, balanceAfter } of users) {
    before += balanceBefore;
    after = after === null || balanceAfter === null ? null : after + balanceAfter;
  }
  return { count: users.length, balanceBefore: before, balanceAfter: after };
}

function sumJournals(users: readonly NamedUserEvidence[]): StressReport["journal"] {
  const total = { entries: 0, sum: 0, gapFree: true };
  for (const { journal } of users) {
    if (journal === null) return null;
    total.entries += journal.entries;
    total.sum += journal.sum;
    total.gapFree &&= journal.gapFree;
  }
  return total;
}
