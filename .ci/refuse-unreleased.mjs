/**
 * Before `npm publish`: refuses while CHANGELOG.md still says Unreleased, or has nothing to say about the
 * version in package.json. Run in the folder of the package.
 */
import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const headings = readFileSync("CHANGELOG.md", "utf8").match(/^## .*$/gm) ?? [];
const titles = headings.map((heading) => heading.slice(3).replace(/[[\]]/g, "").trim());

const problems = [];
if (titles.some((title) => /^unreleased\b/i.test(title))) {
  problems.push(`it still says Unreleased: give that heading a version and a date`);
}
if (!titles.some((title) => title.split(" ")[0] === version)) {
  problems.push(`it has no heading "## ${version} - YYYY-MM-DD", the version in package.json`);
}
for (const problem of problems) process.stderr.write(`CHANGELOG.md: ${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
