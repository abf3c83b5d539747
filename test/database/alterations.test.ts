/** A database whose functions or migrations are not what this program ships, and who says so. */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { migrationFiles } from "../../src/database/migration-files.ts";
import { migrateDown, migrateUp, schemaStatus } from "../../src/database/migrator.ts";
import { verify } from "../../src/ledger/verify.ts";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { commandLine } from "../support/server/command-line.ts";
import { balancectl } from "../support/server/program.ts";
import { copyProgram } from "../support/server/program-copy.ts";

const shipped = await migrationFiles();
const guard = "refuse_balance_without_entry";
const migration = "0001-users-and-entries";

/** Lets every balance pass. */
const idle = `CREATE OR REPLACE FUNCTION ${guard}() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN RETURN NULL; END $$`;

const finding = (name: string, made: string, found: string) => ({
  ...{ userId: null, version: null, check: "function" },
  ...{ expected: `${name}() as ${made} makes it`, found },
});

async function functionsOf(url: string, schema = "public") {
  return await psql(
    url,
    `SELECT proname, prosrc, proconfig FROM pg_proc
      WHERE pronamespace = '${schema}'::regnamespace ORDER BY proname, prosrc`,
  );
}

describe("a function with another body", () => {
  const remedy =
    `${guard}() is not as ${migration} makes it: it has another body. Run its text, under ` +
    `"-- from functions/${guard}.sql" in migrations/${migration}.up.sql, again, after ` +
    "SET search_path = public, pg_temp";

  test("is a finding of verify, also where everything else agrees", async () => {
    const url = await createTestDatabase();
    expect((await verify(url)).findings).toEqual([]);
    await psql(url, idle);
    await psql(url, "UPDATE users SET balance = 1");
    await psql(url, "UPDATE users SET balance = 10000");
    expect(await verify(url)).toEqual({
      ...{ ok: false, users: 1, entries: 1 },
      findings: [finding(guard, migration, "another body")],
    });
    const { code, stdout } = await commandLine(url).run("verify");
    expect([code, stdout]).toEqual([
      1,
      `database (function): expected ${guard}() as ${migration} makes it, found another body\n` +
        "✗ 1 user, 1 entry: 1 finding\n",
    ]);
  });

  test("stops the start of a server, which says what to do", async () => {
    const url = await createTestDatabase();
    await psql(url, idle);
    const { code, stdout } = await commandLine(url).run("serve", "--json", "--port", "0");
    expect([code, JSON.parse(stdout).error]).toEqual([
      1,
      {
        code: "SCHEMA_ALTERED",
        message: `The database is not what this balancectl ships.\n${remedy}`,
      },
    ]);
    // What it says is enough.
    const text = await readFile(join(packageRoot, `migrations/${migration}.up.sql`), "utf8");
    const [, copy = ""] = text.split(`-- from functions/${guard}.sql\n`);
    await psql(url, `SET search_path = public, pg_temp; ${copy.split("END $$;")[0]}END $$`);
    expect(await functionsOf(url)).toEqual(await functionsOf(await createTestDatabase()));
    expect((await verify(url)).ok).toBe(true);
  });

  test("shows in the status, whose exit code is 1", async () => {
    const url = await createTestDatabase();
    await psql(url, idle);
    const cli = commandLine(url);
    const { code, stdout, stderr } = await cli.run("migrate", "status");
    expect([code, stdout.split("\n").filter((line) => !/ applied$/.test(line))]).toEqual([
      1,
      [`${guard}()  another body than ${migration} gives it`, ""],
    ]);
    expect(stderr).toContain(remedy);
    const json = await cli.run("migrate", "status", "--json");
    expect([json.code, JSON.parse(json.stdout)]).toEqual([
      1,
      expect.objectContaining({
        pending: [],
        altered: [{ what: "function", name: guard, migration, found: "another body" }],
      }),
    ]);
  });

  test("may be in a schema that is not this ledger's", async () => {
    const url = await createTestDatabase({ template: false });
    const [one, two] = ["one", "two"].map((schema) => {
      return commandLine(url, { BALANCECTL_SCHEMA: schema });
    });
    for (const cli of [one, two]) await cli?.run("migrate");
    await psql(url, `SET search_path = two, pg_temp; ${idle}`);
    expect((await one?.run("verify"))?.code).toBe(0);
    expect((await one?.run("migrate", "status"))?.code).toBe(0);
    expect((await two?.run("verify"))?.code).toBe(1);
    const status = await two?.run("migrate", "status");
    expect([status?.code, status?.stderr]).toEqual([
      1,
      expect.stringContaining("after SET search_path = two, pg_temp"),
    ]);
  });
});

test("a function that is gone, and one that is there twice", async () => {
  const url = await createTestDatabase();
  await psql(url, "DROP FUNCTION version_at");
  await psql(url, "CREATE FUNCTION creation_scope(key int) RETURNS int LANGUAGE sql AS 'SELECT 1'");
  expect((await verify(url, { userId: 1 })).findings).toEqual([
    finding("creation_scope", "0009-access", "several of this name"),
    finding("version_at", "0005-version-at", "none"),
  ]);
  const { code, stderr } = await commandLine(url).run("serve", "--port", "0");
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/there are several of this name.*there is none/s),
  ]);
});

test("what is expected is what the applied migrations made, not what a pending one will", async () => {
  const url = await createTestDatabase();
  for (let left = (await schemaStatus(url)).applied.length; left > 0; left -= 1) {
    const status = await schemaStatus(url);
    expect([status.applied.length, status.altered]).toEqual([left, []]);
    await migrateDown(url);
  }
  await migrateUp(url);
  expect((await schemaStatus(url)).altered).toEqual([]);
  expect(await functionsOf(url)).toEqual(await functionsOf(await createTestDatabase()));
});

test("a later copy of a function takes the place of an earlier one, and gives it back", async () => {
  const { script, migrations } = await copyProgram();
  const url = await createTestDatabase();
  const before = await functionsOf(url);
  const text = await readFile(join(migrations, "functions/version_at.sql"), "utf8");
  const marker = "-- from functions/version_at.sql\n";
  await appendFile(
    join(migrations, "0099-later.up.sql"),
    marker + text.replace("BEGIN", "BEGIN -- later"),
  );
  await appendFile(join(migrations, "0099-later.down.sql"), marker + text);
  const run = (...args: string[]) => balancectl(args, { DATABASE_URL: url }, { script });
  expect((await run("migrate")).code).toBe(0);
  expect((await run("verify")).code).toBe(0);
  // For the program without that migration the database is newer: it says that, and nothing of functions.
  const { unknown, altered } = await schemaStatus(url);
  expect([unknown, altered]).toEqual([["0099-later"], []]);
  expect((await run("migrate", "down", "--yes")).code).toBe(0);
  expect(await functionsOf(url)).toEqual(before);
  expect((await verify(url)).ok).toBe(true);
});

test("another program's function of a name that is ours is not replaced", async () => {
  const url = await createTestDatabase({ template: false });
  await psql(
    url,
    "CREATE FUNCTION creation_scope(p_key text) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint'",
  );
  const before = await functionsOf(url);
  const { code, stdout } = await commandLine(url).run("migrate", "--json");
  expect([code, JSON.parse(stdout).error]).toEqual([
    1,
    {
      code: "MIGRATION_FAILED",
      message: expect.stringMatching(
        /^0002-idempotency-keys failed: function "creation_scope" already exists\. It was rolled back; the schema is at 0001-users-and-entries\. What is there already is another program's: /,
      ),
    },
  ]);
  const after = await functionsOf(url);
  expect(after).toEqual(expect.arrayContaining(before));
  expect(await psql(url, "SELECT creation_scope('x')::int AS it")).toEqual([{ it: 7 }]);
});

describe("a migration that was applied from another text", () => {
  const latest = shipped.at(-1)?.name as string;

  test("is told by status, serve, verify and migrate; the way down stays open", async () => {
    const { script, migrations } = await copyProgram();
    const url = await createTestDatabase();
    await appendFile(join(migrations, `${latest}.up.sql`), "-- More.\n");
    const run = async (...args: string[]) => {
      const { code, stdout } = await balancectl(args, { DATABASE_URL: url }, { script });
      return [code, stdout];
    };
    const error = {
      code: "SCHEMA_ALTERED",
      message:
        "The database is not what this balancectl ships.\n" +
        `${latest} was applied from another text than migrations/${latest}.up.sql is: use the ` +
        "balancectl that applied it, or revert it and apply this one (balancectl migrate down --to " +
        `${latest})`,
    };
    const refused = [1, `${JSON.stringify({ success: false, error })}\n`];
    expect(await run("serve", "--port", "0", "--json")).toEqual(refused);
    expect(await run("migrate", "--json")).toEqual(refused);
    expect(await run("migrate", "status")).toEqual([
      1,
      expect.stringMatching(new RegExp(`^${latest} +applied, from another text$`, "m")),
    ]);
    expect(await run("verify")).toEqual([
      1,
      `database (migration): expected ${latest} as it is shipped, found another text\n` +
        "✗ 1 user, 1 entry: 1 finding\n",
    ]);
    expect(await run("migrate", "down", "--yes")).toEqual([0, `Reverted ${latest}\n`]);
    expect(await run("migrate")).toEqual([0, `Applied ${latest}\n`]);
    expect((await run("verify"))[0]).toBe(0);
  });
});

test("a schema from before there were checksums is told as what it is, by every command", async () => {
  const url = await createTestDatabase();
  await psql(url, "ALTER TABLE schema_migrations DROP COLUMN checksum");
  const cli = commandLine(url);
  const runs = [
    ["migrate"],
    ["migrate", "status"],
    ["migrate", "down", "--yes"],
    ["users", "list"],
    ["serve", "--port", "0"],
  ];
  for (const args of runs) {
    const { code, stdout } = await cli.run(...args, "--json");
    expect([args, code, JSON.parse(stdout).error]).toEqual([
      args,
      1,
      {
        code: "SCHEMA_ALTERED",
        message:
          "The schema was made by a balancectl from before the first release, whose migrations are not " +
          "these, and nothing brings it up to date: use another database or schema, or for the embedded " +
          "PostgreSQL another data directory (BALANCECTL_DATA_DIR)",
      },
    ]);
  }
});
