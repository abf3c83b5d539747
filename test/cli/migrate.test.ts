/** `balancectl migrate`: what it prints and its exit codes. What it does: test/database/migrator. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase, unusedDatabaseUrl } from "../support/database.ts";
import { balancectl } from "../support/program.ts";

const names = (await readdir(join(packageRoot, "migrations")))
  .filter((file) => file.endsWith(".up.sql"))
  .map((file) => file.replace(".up.sql", ""))
  .sort();
const usage = "(balancectl --help shows all commands, balancectl <command> --help one)\n";

function labelOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL ${pathname.slice(1)} at ${hostname}:${port || "5432"}`;
}

test("names its target first, then what it did, a line each", async () => {
  const url = unusedDatabaseUrl();
  const run = await balancectl(["migrate"], { DATABASE_URL: url });
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
  expect(await balancectl(["migrate", "up", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, applied: names })}\n`,
    stderr: "",
  });
  expect(await balancectl(["migrate", "down", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, reverted: [names.at(-1)] })}\n`,
    stderr: "",
  });
  const pending = [names.at(-1)];
  expect(await balancectl(["migrate", "status", "--json"], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database, applied: names.slice(0, -1), pending, unknown: [] })}\n`,
    stderr: "",
  });
});

test("--to goes with down alone", async () => {
  for (const action of ["up", "status"]) {
    expect(await balancectl(["migrate", action, "--to", "0"])).toEqual({
      code: 2,
      stdout: "",
      stderr: `error: --to goes with \`balancectl migrate down\`\n${usage}`,
    });
  }
});

test("another action is wrong usage", async () => {
  expect(await balancectl(["migrate", "sideways"])).toEqual({
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
  expect(await balancectl(args, { DATABASE_URL: url })).toEqual({
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
    const { code, stdout, stderr } = await balancectl(["migrate", action], env);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      "Connecting to the database\nPostgreSQL nowhere at 127.0.0.1:1\n" +
        "balancectl: The database cannot be reached; nothing was changed (connect ECONNREFUSED 127.0.0.1:1)\n",
    );
  }
});
