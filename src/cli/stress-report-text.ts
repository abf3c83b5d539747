import type { HistogramBucket } from "../stress/histogram.ts";
import type { StressReport } from "../stress/stress-report.ts";
import { grouped, type Output, table } from "./output.ts";

/** A run as a person reads it: tally, speed, latencies, what was checked, verdict. */
export function stressReportText(report: StressReport, server: string, output: Output): string {
  const { paint } = output;
  const { requests, amount, sockets, user, expected } = report;
  const failed = report.failed > 0 ? paint.red(grouped(report.failed)) : "0";
  return [
    `${paint.bold(`${grouped(requests)} withdrawals of ${grouped(amount)}`)} from a balance of ${grouped(user.balanceBefore)}, ${grouped(sockets)} sockets at once`,
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
        ["balance after", optional(user.balanceAfter), grouped(balanceExpected(report))],
        ["journal", journalText(report), "adds up, no gap"],
      ],
      [1, 2],
    ),
    "",
    `${grouped(report.requestsPerSecond)} answers/s over ${(report.durationMs / 1000).toFixed(2)} s`,
    latencyText(report),
    ...histogramLines(report.histogram, output),
    "",
    ...report.findings.map((finding) => paint.red(`✗ ${finding}`)),
    report.verdict === "pass"
      ? paint.green.bold("✔ pass: every answer, the balance and the journal agree")
      : paint.red.bold(report.interrupted ? "✗ fail: interrupted" : "✗ fail"),
  ].join("\n");
}

function balanceExpected({ user, expected, amount }: StressReport): number {
  return user.balanceBefore - expected.succeeded * amount;
}

function journalText({ journal }: StressReport): string {
  if (journal === null) return "not read";
  const { entries, sum, gapFree } = journal;
  return `${grouped(entries)} entries, sum ${grouped(sum)}, ${gapFree ? "no gap" : "GAPS"}`;
}

function latencyText({ latencyMs }: StressReport): string {
  const parts = Object.entries(latencyMs).map(([name, ms]) => `${name} ${milliseconds(ms)}`);
  return `latency ms: ${parts.join("  ")}`;
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
