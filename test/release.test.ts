/** What keeps an unfinished version from being published. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../src/package-root.ts";
import { afterFile } from "./support/cleanup.ts";

const folder = await mkdtemp(join(tmpdir(), "balancectl-release-"));
afterFile(() => rm(folder, { recursive: true, force: true }));

/** What npm runs before it publishes, with a changelog of these headings. */
async function publish(...headings: string[]): Promise<{ code: number; stderr: string }> {
  const changelog = [
    "# Changelog",
    "",
    ...headings.flatMap((line) => [line, "", "- A change.", ""]),
  ];
  await writeFile(join(folder, "CHANGELOG.md"), changelog.join("\n"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ version: "1.2.3" }));
  const script = join(packageRoot, ".ci/refuse-unreleased.mjs");
  return await new Promise((resolve) => {
    const child = execFile(process.execPath, [script], { cwd: folder }, (_error, _stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stderr }),
    );
  });
}

test.each([
  ["a version and a date", ["## 1.2.3 - 2026-11-27", "## 1.2.2 - 2026-10-01"]],
  ["a version in brackets", ["## [1.2.3] - 2026-11-27"]],
])("goes ahead with %s", async (_name, headings) => {
  expect(await publish(...headings)).toEqual({ code: 0, stderr: "" });
});

test.each([
  ["Unreleased alone", ["## Unreleased"], /Unreleased.*\n.*no heading "## 1\.2\.3/],
  [
    "Unreleased above the version",
    ["## Unreleased", "## 1.2.3 - 2026-11-27"],
    /^.*Unreleased.*\n$/,
  ],
  ["Unreleased in brackets", ["## [unreleased]", "## 1.2.3 - 2026-11-27"], /still says Unreleased/],
  ["another version", ["## 1.2.2 - 2026-11-27"], /^.*no heading "## 1\.2\.3 - YYYY-MM-DD".*\n$/],
  ["a longer number", ["## 1.2.30 - 2026-11-27"], /no heading "## 1\.2\.3 /],
])("is refused with %s", async (_name, headings, complaint) => {
  const { code, stderr } = await publish(...headings);
  expect(code).toBe(1);
  expect(stderr).toMatch(complaint);
});
