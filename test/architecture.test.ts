/** The layers and the house rules, held by a test; and that the test would notice. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../src/package-root.ts";
import { afterFile } from "./support/cleanup.ts";
import {
  forbiddenImports,
  importCycles,
  packagesLoadedBy,
  type SourceFile,
} from "./support/oracle/imports.ts";

async function filesBelow(...folders: string[]): Promise<SourceFile[]> {
  const found = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(packageRoot, folder), { recursive: true });
      return names.filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`);
    }),
  );
  return await Promise.all(
    found.flat().map(async (path) => ({
      path,
      text: await readFile(join(packageRoot, path), "utf8"),
    })),
  );
}

const sources = await filesBelow("bin", "src");

/** "path:line" of every line that has it, comments aside. */
function linesWith(pattern: RegExp, files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split("\n")
      .map((line, index) => ({ line, where: `${path}:${index + 1}` }))
      .filter(({ line }) => !/^\s*(\*|\/\/|\/\*)/.test(line) && pattern.test(line))
      .map(({ where }) => where),
  );
}

describe("imports", () => {
  test("go one way: bin -> cli -> service -> {http, stress} -> access -> ledger -> database -> {config, errors}", () => {
    expect(sources.length).toBeGreaterThan(40);
    expect(forbiddenImports(sources)).toEqual([]);
  });

  test("of the client lead out of it as types alone: of the contract, the errors and zod", () => {
    const client = sources.filter(({ path }) => path.startsWith("src/client/"));
    expect(client.length).toBeGreaterThan(5);
    const out = client.flatMap(
      ({ text }) => text.match(/^(import|export)[^;]* from "[^"]+";/gm) ?? [],
    );
    const others = out.filter((statement) => !statement.includes(' from "./'));
    const allowed = /^import type .* from "(zod|\.\.\/errors\.ts|\.\.\/http\/contract\/\w+\.ts)";$/;
    expect(others.length).toBeGreaterThan(2);
    expect(others.filter((statement) => !allowed.test(statement))).toEqual([]);
  });

  test("never go in a ring", () => {
    expect(importCycles(sources)).toEqual([]);
  });

  test("name files that are there", () => {
    const paths = new Set(sources.map(({ path }) => path));
    const targets = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, to = ""]) =>
        join(path, "..", to).replaceAll("\\", "/"),
      ),
    );
    expect(targets.filter((target) => !paths.has(target))).toEqual([]);
  });

  test.each([
    ["the ledger asks http", "src/ledger/ledger.ts", "../http/answer.ts"],
    ["the ledger asks the command line", "src/ledger/ledger.ts", "../cli/output.ts"],
    ["the database asks the ledger", "src/database/connection.ts", "../ledger/operation.ts"],
    ["the service asks the command line", "src/service/start.ts", "../cli/output.ts"],
    ["the service asks stress", "src/service/start.ts", "../stress/tally.ts"],
    ["http asks the service", "src/http/app.ts", "../service/start.ts"],
    ["http asks stress", "src/http/app.ts", "../stress/tally.ts"],
    ["http goes past the ledger", "src/http/routes/users.ts", "../../database/connection.ts"],
    ["http asks the command line", "src/http/routes/users.ts", "../../cli/output.ts"],
    ["access asks http", "src/access/access.ts", "../http/answer.ts"],
    ["the ledger asks access", "src/ledger/ledger.ts", "../access/caller.ts"],
    ["stress asks http", "src/stress/tally.ts", "../http/answer.ts"],
    ["stress asks the ledger", "src/stress/tally.ts", "../ledger/operation.ts"],
    ["stress asks the database", "src/stress/tally.ts", "../database/connection.ts"],
    ["the client asks the ledger", "src/client/send.ts", "../ledger/operation.ts"],
    ["the ledger asks the client", "src/ledger/ledger.ts", "../client/balance-client.ts"],
    ["the config asks the ledger", "src/config.ts", "./ledger/operation.ts"],
    ["the errors ask http", "src/errors.ts", "./http/answer.ts"],
    ["bin goes past the command line", "bin/balancectl.ts", "../src/ledger/ledger.ts"],
    [
      "bin goes past the command line to its service",
      "bin/balancectl.ts",
      "../src/service/start.ts",
    ],
    ["a source asks bin", "src/cli/program.ts", "../../bin/balancectl.ts"],
  ])("turned round are seen: %s", (_name, path, specifier) => {
    for (const text of [
      `import { x } from "${specifier}";`,
      `import type { X } from "${specifier}";`,
      `import {\n  x,\n  y,\n} from '${specifier}';`,
      `import "${specifier}";`,
      `export { x } from "${specifier}";`,
      `export * from "${specifier}";`,
      `const { x } = await import("${specifier}");`,
    ]) {
      const [problem, ...more] = forbiddenImports([{ path, text }]);
      expect(problem).toMatch(new RegExp(`^${path.replaceAll(".", "\\.")} \\(.*\\) imports `));
      expect(more).toEqual([]);
    }
  });

  test.each([
    ["src/cli/actions/serve.ts", "../../service/start.ts"],
    ["src/cli/actions/users.ts", "../../http/contract/views.ts"],
    ["src/cli/actions/stress.ts", "../../stress/run-stress.ts"],
    ["src/service/start.ts", "../http/app.ts"],
    ["src/http/routes/users.ts", "../../ledger/ledger.ts"],
    ["src/ledger/ledger.ts", "../database/connection.ts"],
    ["src/ledger/ledger.ts", "./operation.ts"],
    ["src/stress/tally.ts", "../errors.ts"],
    ["src/client/shapes.ts", "../http/contract/answers.ts"],
    ["src/cli/actions/adjust.ts", "../../client/balance-client.ts"],
    ["bin/balancectl.ts", "../src/cli/program.ts"],
  ])("the right way round are not: %s imports %s", (path, specifier) => {
    expect(forbiddenImports([{ path, text: `import { x } from "${specifier}";` }])).toEqual([]);
  });

  test("in a comment are none", () => {
    const text = '/** Not: import { x } from "../http/app.ts"; */\n// from "../http/app.ts"\n';
    expect(forbiddenImports([{ path: "src/ledger/ledger.ts", text }])).toEqual([]);
  });

  test.each([
    ["chalk", "src/cli/actions/serve.ts"],
    ["ora", "src/cli/actions/adjust.ts"],
    ["express", "src/ledger/ledger.ts"],
    ["pg", "src/http/app.ts"],
    ["sequelize", "src/http/app.ts"],
    ["sequelize", "src/service/start.ts"],
    ["undici", "src/http/app.ts"],
    ["commander", "src/http/app.ts"],
  ])("of %s by %s are seen", (name, path) => {
    const text = `import x from "${name}";`;
    expect(forbiddenImports([{ path, text }])).toEqual([`${path} imports ${name}`]);
  });

  test("in a ring are seen", () => {
    const ring = [
      { path: "src/ledger/a.ts", text: 'import { b } from "./b.ts";' },
      { path: "src/ledger/b.ts", text: 'import { c } from "./c.ts";' },
      { path: "src/ledger/c.ts", text: 'import { a } from "./a.ts";' },
    ];
    expect(importCycles(ring)).toEqual([ring.map(({ path }) => path)]);
  });

  test("of what every start loads are few: help is there at once", () => {
    expect(packagesLoadedBy("bin/balancectl.ts", sources)).toEqual(["chalk", "commander"]);
  });

  test("chalk and ora come through src/cli/output.ts alone", () => {
    const users = linesWith(/(from|import\() ?"(chalk|ora)"/, sources);
    expect(users.map((where) => where.split(":")[0])).toEqual([
      "src/cli/output.ts",
      "src/cli/output.ts",
    ]);
  });
});

describe("the process", () => {
  test.each([
    ["process.exit", /\bprocess\.exit\b/],
    ["process.exitCode", /\bprocess\.exitCode\b/],
    ["process.env", /\bprocess\.env\b/],
    ["process.argv", /\bprocess\.argv\b/],
  ])("%s is touched in bin alone", (_name, pattern) => {
    const others = sources.filter(({ path }) => !path.startsWith("bin/"));
    expect(linesWith(pattern, others)).toEqual([]);
  });
});

describe("files", () => {
  test("have at most 320 lines", async () => {
    const tests = await filesBelow("test");
    const long = [...sources, ...tests]
      .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
      .filter(({ path, lines }) => lines > (path.startsWith("test/") ? 700 : 320));
    expect(long).toEqual([]);
  });

  test("have names that say something", () => {
    const empty = /(^|[/-])(utils?|helpers?|types|common|misc|shared|index)\.ts$/;
    expect(sources.map(({ path }) => path).filter((path) => empty.test(path))).toEqual([]);
  });

  test("begin no import with a side effect: nothing runs but in bin", () => {
    const modules = sources.filter(({ path }) => path.startsWith("src/"));
    expect(linesWith(/^(await|setTimeout|setInterval|process\.on)\b/, modules)).toEqual([]);
  });
});

describe("Biome", () => {
  /** Rules that fire for a text of this project. */
  async function rulesFiredBy(text: string): Promise<string[]> {
    // Inside the project, where its configuration holds.
    const folder = await mkdtemp(join(packageRoot, "test", "biome-probe-"));
    afterFile(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, "probe.ts");
    await writeFile(file, text);
    const biome = join(packageRoot, "node_modules/.bin/biome");
    const output = await new Promise<string>((resolve) => {
      execFile(biome, ["lint", "--reporter=json", file], (_error, stdout) => resolve(stdout));
    });
    await rm(folder, { recursive: true, force: true });
    const report = JSON.parse(output) as { diagnostics: { category: string }[] };
    return report.diagnostics.map(({ category }) => category);
  }

  test("sees a promise that nobody waits for", async () => {
    const fired = await rulesFiredBy(
      `async function work(): Promise<void> {\n  await Promise.resolve();\n}\n\nexport function run(): void {\n  work();\n}\n`,
    );
    expect(fired).toEqual(["lint/nursery/noFloatingPromises"]);
  });

  test("is content when somebody does", async () => {
    const fired = await rulesFiredBy(
      `async function work(): Promise<void> {\n  await Promise.resolve();\n}\n\nexport async function run(): Promise<void> {\n  await work();\n}\n`,
    );
    expect(fired).toEqual([]);
  });

  test("sees a default export", async () => {
    expect(await rulesFiredBy("export default 1;\n")).toEqual(["lint/style/noDefaultExport"]);
  });
});
