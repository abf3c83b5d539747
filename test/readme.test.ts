/** README's tables and the code say the same. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { answerMessages } from "../src/errors.ts";
import { statusOf } from "../src/http/answer.ts";
import { routes } from "../src/http/routes/all.ts";
import { packageRoot } from "../src/package-root.ts";

const readme = await readFile(join(packageRoot, "README.md"), "utf8");
const performance = await readFile(join(packageRoot, "docs/performance.md"), "utf8");

/** Everything that the server answers to, as "GET /api/users/:userId". */
function servedRoutes(): string[] {
  return routes.map(({ method, path }) => `${method} ${path}`);
}

/** The rows of the first table in a text whose head begins so, each as its cells. */
function tableIn(text: string, ...head: string[]): string[][] {
  const begin = text.indexOf(`| ${head.join(" | ")} |\n`);
  if (begin < 0) throw new Error(`there is no table with the head ${head.join(" | ")}`);
  const table = text.slice(begin).split(/\n(?!\|)/)[0] ?? "";
  // The pipe of `up\|down` is none between cells.
  const cells = (line: string) => line.split(/(?<!\\)\|/).slice(1, -1);
  return table
    .trim()
    .split("\n")
    .slice(2)
    .map((line) => cells(line).map((cell) => cell.trim()));
}

test("every route is in README's table, and no other", () => {
  const requests = tableIn(readme, "request", "answer").map(([request = ""]) => request);
  const written = requests.flatMap((request) =>
    [...request.matchAll(/`([A-Z]+ \/[^?`\s]*)/g)].map(([, route = ""]) => route),
  );
  expect(written.toSorted()).toEqual(servedRoutes().toSorted());
});

test("every code of an answer is in README's table, beside its status, and no other", () => {
  const written = tableIn(readme, "status", "codes").flatMap(([statuses = "", text = ""]) => {
    // Settings are written in capitals too.
    const codes = (text.match(/\b[A-Z][A-Z_]{4,}\b/g) ?? []).filter(
      (word) => !word.startsWith("BALANCECTL_"),
    );
    const numbers = statuses.split(", ").map(Number);
    if (numbers.length > 1) expect(codes).toHaveLength(numbers.length);
    return codes.map((code, at) => [code, numbers[numbers.length > 1 ? at : 0]]);
  });
  expect(Object.fromEntries(written)).toEqual(statusOf);
  expect(written).toHaveLength(Object.keys(answerMessages).length);
});

test("README's figures are lines of the benchmark's table", () => {
  const all = tableIn(performance, "", "median", "min", "max", "p50 ms", "p99 ms");
  const few = tableIn(readme, "", "median", "min", "max", "p50 ms", "p99 ms");
  expect(few).toHaveLength(6);
  for (const line of few) expect(all).toContainEqual(line);
});

test.each([
  ["README.md", readme],
  ["docs/performance.md", performance],
])("the benchmark finds its place in %s", (_name, text) => {
  expect(text).toMatch(/<!-- bench:begin -->\n[\s\S]+\n<!-- bench:end -->/);
});
