/** What doctor finds, on databases that are well and on some that are not. */
import { describe, expect, test } from "vitest";
import type { Check } from "../../src/cli/doctor/check.ts";
import { checkNode, checkOpenFiles, judgeDisk } from "../../src/cli/doctor/machine.ts";
import { judgeServer, type ServerSettings } from "../../src/cli/doctor/server-settings.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { runHere } from "../support/server/command-line.ts";

interface Document {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

async function doctor(env: Record<string, string>) {
  const { code, stdout, stderr } = await runHere(["doctor", "--json"], env);
  expect(stderr).toBe("");
  const { ok, checks } = JSON.parse(stdout) as Document;
  return { code, ok, checks, bad: checks.filter(({ state }) => state !== "ok") };
}

const clean = await createTestDatabase();

test("a database that is well: each thing with what was seen, exit code 0", async () => {
  const { code, ok, checks, bad } = await doctor({ DATABASE_URL: clean });
  expect(bad.filter(({ name }) => name !== "open files")).toEqual([]);
  expect([code, ok]).toEqual([0, true]);
  expect(checks.map(({ name }) => name)).toEqual([
    ...["node", "open files", "settings", "database", "version", "fsync", "full_page_writes"],
    ...["synchronous_commit", "connections", "clock", "schema", "text", "guards", "rights"],
  ]);
});

test("for people: a mark, what was seen, and what to do", async () => {
  const { code, stdout } = await runHere(["doctor"], { DATABASE_URL: await notMigrated() });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^✔ fsync {15}on$/m);
  expect(stdout).toMatch(/^! schema {14}none; lacks 0001-.*\n {22}→ Run `balancectl migrate`; /m);
  expect(stdout).toMatch(/\n\n! \d warnings?\n$/);
  expect(await psql(url, "SELECT to_regclass('users') AS users")).toEqual([{ users: null }]);
});

let url = "";
async function notMigrated(): Promise<string> {
  url = await createTestDatabase({ template: false });
  return url;
}

test.each<[what: string, sql: string, bad: object[]]>([
  [
    "commits that do not wait for the disk",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    [{ name: "synchronous_commit", state: "fail", found: "off" }],
  ],
  [
    "a guard that is off",
    "ALTER TABLE entries DISABLE TRIGGER entries_append_only",
    [
      {
        ...{ name: "guards", state: "fail" },
        found: "trigger entries_append_only: disabled or not valid",
        advice: expect.stringContaining("balancectl verify"),
      },
    ],
  ],
  [
    "a guard that guards nothing",
    `CREATE OR REPLACE FUNCTION refuse_entry_change() RETURNS trigger LANGUAGE plpgsql
       AS 'BEGIN RETURN NEW; END'`,
    [
      {
        ...{ name: "text", state: "fail", found: "refuse_entry_change" },
        advice: expect.stringContaining("is not as"),
      },
    ],
  ],
  [
    "a migration from another text",
    "UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE name LIKE '0005%'",
    [{ name: "text", state: "fail", found: "0005-version-at" }],
  ],
  [
    "a schema that is newer",
    "INSERT INTO schema_migrations (name, checksum) VALUES ('9999-later', repeat('0', 64))",
    [{ name: "schema", state: "fail", found: "newer than this program: 9999-later" }],
  ],
])("%s: exit code 1", async (_what, sql, expected) => {
  const databaseUrl = await createTestDatabase();
  await psql(databaseUrl, sql);
  const { code, ok, bad } = await doctor({ DATABASE_URL: databaseUrl });
  expect([code, ok]).toEqual([1, false]);
  expect(bad.filter(({ name }) => name !== "open files")).toMatchObject(expected);
});

test("more connections than there are", async () => {
  const { code, bad } = await doctor({
    DATABASE_URL: clean,
    BALANCECTL_READ_CONNECTIONS_MAX: "200",
  });
  const [connections] = bad.filter(({ name }) => name === "connections");
  expect([code, connections?.state]).toEqual([0, "warn"]);
  expect(connections?.found).toMatch(
    /^max_connections \d+, \d+ of them others', and a server may take 210$/,
  );
});

test("a database that is not there, and settings that are wrong", async () => {
  const nowhere = await doctor({ DATABASE_URL: "postgres://me:secret-1@127.0.0.1:1/none" });
  expect([nowhere.code, nowhere.bad.at(-1)]).toMatchObject([
    1,
    { name: "database", state: "fail", found: expect.stringContaining("ECONNREFUSED") },
  ]);
  expect(JSON.stringify(nowhere)).not.toContain("secret-1");
  const wrong = await doctor({ PORT: "x" });
  expect([wrong.code, wrong.bad.at(-1)]).toMatchObject([
    1,
    { name: "settings", state: "fail", found: expect.stringContaining("PORT must be") },
  ]);
});

describe("judges", () => {
  const well: ServerSettings = {
    ...{ version: "15.18", versionNumber: 150_018, connectionsMax: 100, connectionsTaken: 10 },
    ...{ fsync: "on", fullPageWrites: "on", synchronousCommit: "on" },
    ...{ clockAheadMs: -3, clockDoubtMs: 2 },
  };
  const badOf = (settings: Partial<ServerSettings>) =>
    judgeServer({ ...well, ...settings }, 18)
      .filter(({ state }) => state !== "ok")
      .map(({ name, state, found }) => `${state} ${name}: ${found}`);

  test.each<[settings: Partial<ServerSettings>, bad: string[]]>([
    [{}, []],
    [{ version: "14.2", versionNumber: 140_002 }, ["fail version: PostgreSQL 14.2"]],
    [{ fsync: "off", fullPageWrites: "off" }, ["fail fsync: off", "fail full_page_writes: off"]],
    [{ synchronousCommit: "local" }, []],
    [{ synchronousCommit: "remote_apply" }, []],
    [{ connectionsTaken: 82 }, []],
    [
      { connectionsTaken: 83 },
      ["warn connections: max_connections 100, 83 of them others', and a server may take 18"],
    ],
    [{ clockAheadMs: 5_000 }, ["warn clock: the database's is 5000 ms ahead of ours"]],
    [{ clockAheadMs: -5_000 }, ["warn clock: the database's is 5000 ms behind ours"]],
    // So slow a way that nobody can tell.
    [{ clockAheadMs: 5_000, clockDoubtMs: 4_500 }, []],
  ])("of the server: %j", (settings, bad) => {
    expect(badOf(settings)).toEqual(bad);
  });

  test("of Node", () => {
    const states = ["v20.18.0", "v18.20.1", "v20.18.1", "v20.19.0", "v22.0.0"].map(
      (version) => checkNode(version).state,
    );
    expect(states).toEqual(["fail", "fail", "ok", "ok", "ok"]);
  });

  test("of open files", () => {
    const states = [1_024, 10_240, Number.POSITIVE_INFINITY, undefined].map(
      (soft) => checkOpenFiles({ soft, hard: undefined }).state,
    );
    expect(states).toEqual(["warn", "ok", "ok", "ok"]);
  });

  test("of the disk", () => {
    const states = [1e8, 1e9, 1e10].map((free) => judgeDisk("/data", free, 1e11).state);
    expect(states).toEqual(["fail", "warn", "ok"]);
    expect(judgeDisk("/data", 1e10, 1e11).found).toBe("10.0 GB free (10 %) for /data");
  });
});
