/** Verdicts as a table, a line a fault, and as lines for people. */
import { countFindings, isClean, type Verdict } from "./check/check.ts";

const head = [
  ...["fault", "rounds", "requests", "acknowledged", "lost", "doubled", "wrong", "500s"],
  ...["silent 503s", "unknown (made / not)", "longest recovery s", "longest wait s"],
];

/** In Markdown, as documents have it; legible as it is. */
export function table(verdicts: readonly Verdict[]): string {
  const names = [...new Set(verdicts.map(({ fault }) => fault))];
  const rows = names.map((name) =>
    row(
      name,
      verdicts.filter(({ fault }) => fault === name),
    ),
  );
  if (names.length > 1) rows.push(row("all", verdicts));
  const lines = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, at) => (at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

function row(name: string, verdicts: readonly Verdict[]): string[] {
  const sum = (of: (verdict: Verdict) => number) =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  const longest = (of: (verdict: Verdict) => number) =>
    (Math.max(...verdicts.map(of)) / 1_000).toFixed(1);
  const count = (of: (verdict: Verdict) => number) => sum(of).toLocaleString("en-US");
  return [
    name,
    String(verdicts.length),
    count(({ requests }) => requests),
    count(({ acknowledged }) => acknowledged),
    count((verdict) => countFindings(verdict, "lost")),
    count((verdict) => countFindings(verdict, "doubled")),
    count((verdict) => countFindings(verdict, "wrong")),
    count(({ fiveHundreds }) => fiveHundreds),
    count(({ silent }) => silent),
    `${count(({ unknownMade }) => unknownMade)} / ${count(({ unknownNotMade }) => unknownNotMade)}`,
    longest(({ recoveryMsMax }) => recoveryMsMax),
    longest(({ waitMsMax }) => waitMsMax),
  ];
}

/** What was not as it must be, the first of each kind. */
export function complaints(verdict: Verdict, linesMax = 10): string[] {
  if (isClean(verdict)) return [];
  const { findings, said } = verdict;
  const lines = findings.slice(0, linesMax).map(({ class: kind, text, user, question }) => {
    const about = [user && `user ${user}`, question && `question ${question}`].filter(Boolean);
    return `${kind}: ${text}${about.length > 0 ? ` (${about.join(", ")})` : ""}`;
  });
  if (findings.length > linesMax) lines.push(`and ${findings.length - linesMax} more`);
  for (const [text, times] of [...said].slice(0, linesMax)) lines.push(`${times} times ${text}`);
  return lines;
}
