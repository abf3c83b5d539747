/** The result of a run: JSON as it stands. */
import { type HistogramBucket, latencyBuckets } from "./histogram.ts";
import { type Expected, judge } from "./judge.ts";
import type { LatencyPercentiles } from "./latency.ts";
import type { Subject, SubjectAfter } from "./subject.ts";
import type { FailureCount, Tally } from "./tally.ts";

export interface StressReport {
  readonly url: string;
  /** What each withdrawal took, positive. */
  readonly amount: number;
  /** How many were asked for. */
  readonly requests: number;
  /** How many were sent: fewer only when interrupted. */
  readonly sent: number;
  /** In flight at once: never more than there are requests. */
  readonly concurrency: number;
  /** Sockets really open at the same time, at the most. */
  readonly sockets: number;
  readonly succeeded: number;
  readonly insufficientFunds: number;
  /** Any other answer, or none. */
  readonly failed: number;
  readonly failures: readonly FailureCount[];
  readonly expected: Expected;
  readonly user: {
    readonly id: number;
    readonly balanceBefore: number;
    /** Null where it could not be read back. */
    readonly balanceAfter: number | null;
  };
  /**
   * Of a user created for the run the whole journal, its opening entry included; of a given user
   * the entries since the start of the run. `sum` is of their amounts. Null where not read back.
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
  /** From dispatch to the last byte, over the requests that were answered. */
  readonly latencyMs: LatencyPercentiles;
  readonly histogram: readonly HistogramBucket[];
  readonly interrupted: boolean;
  /** One sentence, expected against seen, for every check that did not hold. */
  readonly findings: readonly string[];
  readonly verdict: "pass" | "fail";
}

/** What a run leaves behind for its report. */
export interface FinishedRun {
  readonly url: URL;
  readonly amount: number;
  readonly requests: number;
  readonly sent: number;
  readonly concurrency: number;
  readonly sockets: number;
  readonly durationMs: number;
  readonly interrupted: boolean;
  readonly tally: Tally;
  readonly before: Subject;
  readonly after: SubjectAfter;
}

export function buildReport(run: FinishedRun): StressReport {
  const { url, amount, requests, sent, concurrency, sockets, interrupted, tally } = run;
  const { before, after } = run;
  const counts = tally.counts();
  const { verdict, expected, findings } = judge({
    requests,
    sent,
    concurrency,
    sockets,
    amount,
    interrupted,
    counts,
    balanceBefore: before.balance,
    balanceAfter: after.balance,
    created: before.created,
    versionBefore: before.version,
    journal: after.journal,
    readProblem: after.problem,
  });
  const { succeeded, insufficientFunds, failed, failures } = counts;
  const answered = tally.latency.count();
  return {
    url: url.href,
    amount,
    requests,
    sent,
    concurrency,
    sockets,
    succeeded,
    insufficientFunds,
    failed,
    failures,
    expected,
    user: { id: before.id, balanceBefore: before.balance, balanceAfter: after.balance },
    journal: after.journal && pick(after.journal),
    durationMs: Math.round(run.durationMs),
    requestsPerSecond: Math.round(answered / Math.max(run.durationMs / 1000, 1e-6)),
    latencyMs: tally.latency.percentiles(),
    histogram: latencyBuckets(tally.latency.recorded()),
    interrupted,
    findings,
    verdict,
  };
}

function pick({ entries, sum, gapFree }: NonNullable<SubjectAfter["journal"]>) {
  return { entries, sum, gapFree };
}
