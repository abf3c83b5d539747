/** The results as tables: for the terminal, for docs/performance.md, and in short for README.md. */
import type { Row } from "./bench.ts";
import type { Goal } from "./goals.ts";

export interface Report {
  readonly command: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly tool: string;
  readonly database: string;
  readonly machine: readonly string[];
  /** What a measurement was: rounds, seconds, connections. */
  readonly measured: string;
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  readonly notes: readonly string[];
  readonly problems: readonly string[];
}

export function terminalReport(report: Report): string {
  const { rows, goals, notes, problems } = report;
  const parts = [
    `${report.command}, ${report.startedAt}, ${report.seconds} s`,
    [...report.machine, report.database, report.measured].map((line) => `  ${line}`).join("\n"),
    aligned([rowHead, ...rows.map(rowCells)]),
    goals.length > 0 && aligned([goalHead, ...goals.map(goalCells)]),
    notes.map((line) => `note: ${line}`).join("\n"),
    problems.map((line) => `WRONG: ${line}`).join("\n"),
  ];
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

/** What stands between the markers in docs/performance.md. */
export function markdownReport(report: Report): string {
  const { rows, goals, notes, problems } = report;
  const about = [...report.machine, report.database, report.measured, ...notes];
  const parts = [
    `\`${report.command}\`, ${report.startedAt.slice(0, 10)}, ${report.seconds} s:`,
    about.map((line) => `- ${line}`).join("\n"),
    markdownTable([rowHead, ...rows.map(rowCells)]),
    goals.length > 0 && markdownTable([goalHead, ...goals.map(goalCells)]),
    problems.map((line) => `**Wrong:** ${line}`).join("\n\n"),
  ];
  return parts.filter(Boolean).join("\n\n");
}

/** What a newcomer asks first: how the usual ways do, and how this does. */
const inShort = ["C", "D", "E", "hot", "hot-keys", "users-10000"];

/** What stands between the markers in README.md. */
export function markdownSummary(report: Report): string {
  const rows = report.rows.filter(({ name }) => inShort.includes(name));
  const about = [report.machine[0], report.measured].join("; ");
  const first = `\`${report.command}\`, ${report.startedAt.slice(0, 10)}, on ${about}:`;
  return [first, markdownTable([rowHead, ...rows.map(rowCells)])].join("\n\n");
}

const rowHead = ["", "median", "min", "max", "p50 ms", "p99 ms"];

function rowCells({ title, unit, summary, p50Ms, p99Ms }: Row): string[] {
  const { median, min, max } = summary;
  const shown = (value: number) => figure(value, unit);
  const suffix = unit === "/s" ? unit : ` ${unit}`;
  return [title, shown(median) + suffix, shown(min), shown(max), latency(p50Ms), latency(p99Ms)];
}

const goalHead = ["goal", "", "measured", ""];

function goalCells({ what, goal, measured, verdict }: Goal): string[] {
  return [what, goal, measured, verdict];
}

function figure(value: number, unit: Row["unit"]): string {
  if (unit === "ms" && value < 100) return value.toFixed(2);
  return Math.round(value).toLocaleString("en-US");
}

function latency(ms: number | undefined): string {
  return ms === undefined || Number.isNaN(ms) ? "" : ms.toFixed(2);
}

/** The first column to the left, the others to the right. */
function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? "").length)),
  );
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...rows.map(indented)].map(line).join("\n");
}

/** Markdown swallows leading blanks. */
function indented(cells: readonly string[]): string[] {
  return cells.map((cell) => cell.replace(/^ {2}/, "&nbsp;&nbsp;"));
}
