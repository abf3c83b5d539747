/** `balancectl migrate`: what it prints and its exit codes. What it does: test/database/migrator. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase, psql, unusedDatabaseUrl } from "../support/database/database.ts";
import { runHere } from "../support/server/command-line.ts";
import { script } from "../support/server/program.ts";
import { hasTerminal, openTerminal } from "../support/server/terminal.ts";

const names = (await readdir(join(packageRoot, "migrations")))
  .filter((file) => file.endsWith(".up.sql"))
  .map((file) => file.replace(".up.sql", ""))
  .sort();
const usage = "(balancectl --help shows all commands, balancectl <command> --help one)\n";

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

function labelOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL ${pathname.slice(1)} at ${hostname}:${port || "5432"}`;
}

test("names its target first, then what it did, a line each", async () => {
  const url = unusedDatabaseUrl();
  const run = await runHere(["migrate"], { DATABASE_URL: url });
  expect(run).toEqual({
    code: 0,
    stdout: names.map((name) => `Applied ${name}\n`).join(""),
    stderr: `Connecting to the database\n${labelOf(url)}\nCreated the database\n`,
  });
});

test("does the same with --json, as one document", async () => {
  const url = unusedDatabaseUrl();
  const env = { DATABASE_URL: url };
  const database = labelOf(url);
  expect(await runHere(["migrate", "up", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, applied: names })}\n`,
    stderr: "",
  });
  expect(await runHere(["migrate", "down", "--yes", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, reverted: [names.at(-1)] })}\n`,
    stderr: "",
  });
  const pending = [names.at(-1)];
  expect(await runHere(["migrate", "status", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, applied: names.slice(0, -1), pending, unknown: [], altered: [] })}\n`,
    stderr: "",
  });
});

test.each([["--to", "0"], ["--yes"]])("%s goes with down alone", async (...flag) => {
  for (const action of ["up", "status"]) {
    expect(await runHere(["migrate", action, ...flag])).toEqual({
      code: 2,
      stdout: "",
      stderr: `error: ${flag[0]} goes with \`balancectl migrate down\`\n${usage}`,
    });
  }
});

test("another action is wrong usage", async () => {
  expect(await runHere(["migrate", "sideways"])).toEqual({
    code: 2,
    stdout: "",
    stderr:
      "error: command-argument value 'sideways' is invalid for argument 'action'. " +
      `Allowed choices are up, down, status.\n${usage}`,
  });
});

test("an unknown target is wrong usage, also as JSON", async () => {
  const url = await createTestDatabase();
  const args = ["migrate", "down", "--to", "0000-nothing", "--json"];
  expect(await runHere(args, { DATABASE_URL: url })).toEqual({
    code: 2,
    stdout: `${JSON.stringify({
      success: false,
      error: {
        code: "INVALID_REQUEST",
        message: `0000-nothing is not an applied migration; applied are: ${names.join(", ")}`,
      },
    })}\n`,
    stderr: "",
  });
});

test("a server that is not there is a failure", async () => {
  const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nowhere" };
  for (const action of ["up", "down", "status"]) {
    const { code, stdout, stderr } = await runHere(["migrate", action], env);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      "Connecting to the database\nPostgreSQL nowhere at 127.0.0.1:1\n" +
        "balancectl: The database cannot be reached; nothing was changed (connect ECONNREFUSED 127.0.0.1:1)\n",
    );
  }
});

describe("down", () => {
  const last = names.at(-1);
  const loss = (url: string) =>
    `Reverting ${last} takes what they hold out of database ${nameOf(url)}.\n` +
    "There are 2 users, 3 entries, and balances of 10,700 in all";

  async function withHistory(): Promise<string> {
    const url = await createTestDatabase();
    const env = { DATABASE_URL: url };
    await runHere(["users", "create", "--balance", "700"], env);
    await runHere(["hold", "2", "40"], env);
    return url;
  }

  const status = (url: string) =>
    psql<{ name: string }>(url, "SELECT name FROM schema_migrations ORDER BY name").then((rows) =>
      rows.map(({ name }) => name),
    );

  test("without a terminal and --yes says what there is to lose, and loses nothing", async () => {
    const url = await withHistory();
    const env = { DATABASE_URL: url };
    const stderr = loss(url).replace("\n", "\n  ");
    expect(await runHere(["migrate", "down"], env)).toEqual({
      code: 2,
      stdout: "",
      stderr:
        `Connecting to the database\n${labelOf(url)}\n` +
        `balancectl: ${stderr}\n  Repeat it with --yes if it may go\n`,
    });
    const asJson = await runHere(["migrate", "down", "--json"], env);
    expect([asJson.code, asJson.stderr, JSON.parse(asJson.stdout)]).toEqual([
      2,
      "",
      {
        success: false,
        error: {
          code: "INVALID_REQUEST",
          message: `${loss(url)}\nRepeat it with --yes if it may go`,
        },
      },
    ]);
    expect(await status(url)).toEqual(names);
    expect(await runHere(["migrate", "down", "--yes"], env)).toEqual({
      code: 0,
      stdout: `Reverted ${last}\n`,
      stderr: `Connecting to the database\n${labelOf(url)}\n${loss(url)}\n`,
    });
  });

  test.skipIf(!hasTerminal)("on a terminal asks for the name of the database", async () => {
    const url = await withHistory();
    const answers: [typed: string, code: number, left: number][] = [
      ["yes\n", 2, 0],
      ["\n", 2, 0],
      // The end of the input.
      ["\u0004", 2, 0],
      // Ctrl-C
      ["\u0003", 130, 0],
      [`${nameOf(url)}\n`, 0, 1],
    ];
    for (const [typed, code, reverted] of answers) {
      const line = `stty cols 80 rows 24; exec ${process.execPath} ${script} migrate down`;
      const terminal = openTerminal(line, { DATABASE_URL: url });
      await terminal.shows("Type the name of the database to go on: ");
      expect(terminal.seen().replaceAll("\r", "")).toContain(loss(url));
      terminal.type(typed);
      expect([typed, await terminal.exitCode]).toEqual([typed, code]);
      expect(await status(url)).toEqual(names.slice(0, names.length - reverted));
    }
  });
});
