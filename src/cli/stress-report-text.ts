import type { HistogramBucket } from "../stress/histogram.ts";
import type { LatencyPercentiles } from "../stress/latency.ts";
import type { StressReport } from "../stress/stress-report.ts";
import { counted, grouped, type Output, table } from "./output.ts";

/** A run as a person reads it: tally, speed, latencies, what was checked, verdict. */
export function stressReportText(report: StressReport, server: string, output: Output): string {
  const { paint } = output;
  const { expected, users } = report;
  const failed = report.failed > 0 ? paint.red(grouped(report.failed)) : "0";
  const several = users.count > 1;
  return [
    headline(report, output),
    ...planLines(report).map((line) => paint.dim(line)),
    paint.dim(server),
    "",
    table(
      [
        ["", "seen", "expected"],
        ["succeeded", grouped(report.succeeded), grouped(expected.succeeded)],
        [
          "insufficient funds",
          grouped(report.insufficientFunds),
          grouped(expected.insufficientFunds),
        ],
        ["anything else", failed, "0"],
        ...report.failures.map(({ kind, cause, count }) => [
          `  ${kind === "noAnswer" ? "no answer: " : ""}${cause}`,
          grouped(count),
          "",
        ]),
        [
          several ? "balances after" : "balance after",
          optional(users.balanceAfter),
          grouped(balanceExpected(report)),
        ],
        [
          several ? "journals" : "journal",
          journalText(report),
          several ? "each adds up, no gap" : "adds up, no gap",
        ],
      ],
      [1, 2],
    ),
    "",
    ...speedLines(report, output),
    ...histogramLines(report.histogram, output),
    "",
    ...report.findings.map((finding) => paint.red(`✗ ${finding}`)),
    verdictText(report, output),
  ].join("\n");
}

function headline({ requests, amount, sockets, users }: StressReport, { paint }: Output): string {
  const { count, balanceBefore } = users;
  const from =
    count > 1
      ? `${grouped(count)} balances of ${grouped(balanceBefore / count)}`
      : `a balance of ${grouped(balanceBefore)}`;
  const what = paint.bold(`${counted(requests, "withdrawal")} of ${grouped(amount)}`);
  return `${what} from ${from}, ${counted(sockets, "socket")} at once`;
}

/** What makes this run differ from the plain one, and can be asked for again. */
function planLines({ rate, durationSeconds, skew, seed }: StressReport): string[] {
  const lines: string[] = [];
  if (rate !== null && durationSeconds !== null) {
    lines.push(`open loop: ${grouped(rate)} a second for ${grouped(durationSeconds)} s`);
  }
  if (seed !== null) {
    lines.push(`users picked ${skew > 0 ? `with a skew of ${skew}` : "evenly"}, seed ${seed}`);
  }
  return lines;
}

function balanceExpected({ users, expected, amount }: StressReport): number {
  return users.balanceBefore - expected.succeeded * amount;
}

function journalText({ journal }: StressReport): string {
  if (journal === null) return "not read";
  const { entries, sum, gapFree } = journal;
  return `${counted(entries, "entry", "entries")}, sum ${grouped(sum)}, ${gapFree ? "no gap" : "GAPS"}`;
}

function speedLines(report: StressReport, { paint }: Output): string[] {
  const { rate, startsPerSecond, lateStarts, backlogMax, startDelayMs } = report;
  const seconds = (report.durationMs / 1000).toFixed(2);
  const answers = `${grouped(report.requestsPerSecond)} answers/s over ${seconds} s`;
  const latency = percentilesText(report.latencyMs);
  if (rate === null || startDelayMs === null) return [answers, `latency ms: ${latency}`];
  const late =
    `${grouped(lateStarts ?? 0)} of ${grouped(report.requests)} found no free socket when due, ` +
    `up to ${grouped(backlogMax ?? 0)} waited at once`;
  return [
    `${grouped(Number((startsPerSecond ?? 0).toPrecision(3)))} starts/s of ${grouped(rate)} intended, ${answers}`,
    lateStarts ? paint.yellow(`late starts: ${late}`) : "late starts: none",
    `start delay ms: ${percentilesText(startDelayMs)}`,
    `latency ms, from the intended start: ${latency}`,
  ];
}

function percentilesText(percentiles: LatencyPercentiles): string {
  return Object.entries(percentiles)
    .map(([name, ms]) => `${name} ${milliseconds(ms)}`)
    .join("  ");
}

function verdictText({ verdict, interrupted, users }: StressReport, { paint }: Output): string {
  if (verdict === "fail") return paint.red.bold(interrupted ? "✗ fail: interrupted" : "✗ fail");
  return paint.green.bold(
    users.count > 1
      ? `✔ pass: every answer, ${grouped(users.count)} balances and their journals agree`
      : "✔ pass: every answer, the balance and the journal agree",
  );
}

function histogramLines(buckets: readonly HistogramBucket[], { paint, columns }: Output): string[] {
  const most = Math.max(...buckets.map(({ count }) => count));
  const rows = buckets.map(
    ({ fromMs, toMs, count }) =>
      [`${milliseconds(fromMs)} –`, milliseconds(toMs), grouped(count), count] as const,
  );
  const labels = table(
    rows.map(([from, to, count]) => [from, to, count]),
    [0, 1, 2],
  ).split("\n");
  const room = Math.max(10, Math.min(columns, 100) - (labels[0]?.length ?? 0) - 6);
  return rows.map(([, , , count], index) => {
    const bar = "█".repeat(Math.round((count / most) * room)) || (count > 0 ? "▏" : "");
    return `  ${labels[index]}  ${paint.cyan(bar)}`.trimEnd();
  });
}

function milliseconds(ms: number): string {
  return ms >= 100 ? grouped(Math.round(ms)) : ms.toFixed(ms >= 10 ? 1 : 2);
}

function optional(value: number | null): string {
  return value === null ? "not read" : grouped(value);
}
