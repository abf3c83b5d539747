/** Migrations by the program itself: at once, up and down, failing, and by a version too old. */
import { randomBytes } from "node:crypto";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { migrateDown } from "../../src/database/migrator.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql, unusedDatabaseUrl } from "../support/database/database.ts";
import { account, journalFindings } from "../support/oracle/journal.ts";
import { balancectl, type Where } from "../support/server/program.ts";
import { copyProgram } from "../support/server/program-copy.ts";

/** In the order of their numbers. */
const names = (await readdir(join(packageRoot, "migrations")))
  .filter((file) => file.endsWith(".up.sql"))
  .map((file) => file.replace(".up.sql", ""))
  .sort();
const latest = names.at(-1) as string;

function migrate(url: string, args: readonly string[] = [], where: Where = {}) {
  return balancectl(["migrate", ...args], { DATABASE_URL: url }, where);
}

async function migrateJson<T>(url: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await migrate(url, [...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

interface Status {
  applied: string[];
  pending: string[];
  unknown: string[];
}

function logged(url: string) {
  return psql<{ name: string }>(
    url,
    "SELECT name FROM schema_migrations ORDER BY applied_at, name",
  );
}

/** Everything that a migration could leave behind. */
function objects(url: string) {
  return psql<{ object: string }>(
    url,
    `SELECT 'relation ' || relname AS object FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'p')
      UNION ALL
     SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL
     SELECT 'type ' || typname FROM pg_type
      WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
      ORDER BY 1`,
  );
}

describe("at once", () => {
  test("four processes on a database that is not there: all end well, each file once", async () => {
    const url = unusedDatabaseUrl();
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => migrateJson<{ applied: string[] }>(url)),
    );
    expect(runs.flatMap(({ applied }) => applied)).toEqual(names);
    expect(await logged(url)).toEqual(names.map((name) => ({ name })));
    expect(await account(url)).toEqual({ balance: 10_000, entries: 1 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("up and down meet: either order, never in between", async () => {
    const url = await createTestDatabase();
    const [up, down] = await Promise.all([
      migrateJson<{ applied: string[] }>(url, "up"),
      migrateJson<{ reverted: string[] }>(url, "down", "--yes"),
    ]);
    expect(down.reverted).toEqual([latest]);
    expect([[], [latest]]).toContainEqual(up.applied);
    const { pending } = await migrateJson<Status>(url, "status");
    expect(pending).toEqual(up.applied.length > 0 ? [] : [latest]);
  });
});

describe("up and down", () => {
  test("up, down to nothing, up again", async () => {
    const url = unusedDatabaseUrl();
    expect((await migrateJson<{ applied: string[] }>(url, "up")).applied).toEqual(names);
    const schema = await objects(url);
    const { reverted } = await migrateJson<{ reverted: string[] }>(
      url,
      "down",
      "--yes",
      "--to",
      "0",
    );
    expect(reverted).toEqual([...names].reverse());
    expect(await objects(url)).toEqual([{ object: "relation schema_migrations" }]);
    expect(await logged(url)).toEqual([]);
    expect((await migrateJson<{ applied: string[] }>(url, "up")).applied).toEqual(names);
    expect(await objects(url)).toEqual(schema);
    expect(await account(url)).toEqual({ balance: 10_000, entries: 1 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("up twice does nothing the second time", async () => {
    const url = await createTestDatabase();
    expect((await migrateJson<{ applied: string[] }>(url)).applied).toEqual([]);
    const { code, stdout } = await migrate(url);
    expect([code, stdout]).toEqual([0, "Up to date\n"]);
  });

  test("down reverts one at a time", async () => {
    const url = await createTestDatabase();
    for (const name of [...names].reverse()) {
      expect(await migrateDown(url)).toEqual({ done: [name] });
    }
    const { code, stdout } = await migrate(url, ["down", "--yes"]);
    expect([code, stdout]).toEqual([0, "Nothing to revert\n"]);
  });

  test("down --to reverts that one and what came after it", async () => {
    const url = await createTestDatabase();
    const to = names[1] as string;
    const { code, stdout } = await migrate(url, ["down", "--yes", "--to", to]);
    expect([code, stdout]).toEqual([
      0,
      `${names
        .slice(1)
        .reverse()
        .map((name) => `Reverted ${name}\n`)
        .join("")}`,
    ]);
    const status = await migrateJson<Status>(url, "status");
    expect(status).toMatchObject({ applied: names.slice(0, 1), pending: names.slice(1) });
  });

  test.each(["nonsense", "0001", ""])(
    "down --to %j names nothing and reverts nothing",
    async (to) => {
      const url = await createTestDatabase();
      const { code, stderr } = await migrate(url, ["down", "--yes", "--to", to]);
      expect(code).toBe(2);
      expect(stderr).toContain(
        `${to} is not an applied migration; applied are: ${names.join(", ")}`,
      );
      expect((await logged(url)).length).toBe(names.length);
    },
  );

  test("down --to one that is not applied any more", async () => {
    const url = await createTestDatabase();
    await migrate(url, ["down", "--yes"]);
    const { code, stderr } = await migrate(url, ["down", "--to", latest]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${latest} is not an applied migration`);
  });
});

describe("status", () => {
  test("of a database without any schema, and creates nothing", async () => {
    const url = await createTestDatabase({ template: false });
    const status = await migrateJson<Status>(url, "status");
    expect(status).toMatchObject({ applied: [], pending: names, unknown: [] });
    expect(await objects(url)).toEqual([]);
  });

  test("of one that is half-way, as a table", async () => {
    const url = await createTestDatabase();
    await migrate(url, ["down", "--yes"]);
    const { code, stdout } = await migrate(url, ["status"]);
    expect(code).toBe(0);
    const rows = stdout.trimEnd().split("\n");
    expect(rows.map((row) => row.split(/\s+/))).toEqual(
      names.map((name) => [name, name === latest ? "pending" : "applied"]),
    );
    expect(new Set(rows.map((row) => row.search(/(applied|pending)$/))).size).toBe(1);
  });

  test("of one that is not there: says so and does not create it", async () => {
    const url = unusedDatabaseUrl();
    const { code, stderr } = await migrate(url, ["status"]);
    expect(code).toBe(1);
    expect(stderr).toContain("The database does not exist (`balancectl migrate` creates it");
    const found = await psql(inject("serverUrl"), "SELECT FROM pg_database WHERE datname = $1", [
      new URL(url).pathname.slice(1),
    ]);
    expect(found).toEqual([]);
  });
});

describe("a file that fails", () => {
  test("is rolled back, says where and why, and leaves what was before it", async () => {
    const { script, migrations } = await copyProgram();
    await writeFile(
      join(migrations, "9001-good.up.sql"),
      "CREATE TABLE good (id bigint PRIMARY KEY);",
    );
    await writeFile(join(migrations, "9001-good.down.sql"), "DROP TABLE good;");
    await writeFile(
      join(migrations, "9002-broken.up.sql"),
      "CREATE TABLE half (id bigint); INSERT INTO half VALUES (1); SELECT 1 / 0;",
    );
    await writeFile(join(migrations, "9002-broken.down.sql"), "DROP TABLE half;");
    await writeFile(join(migrations, "9003-never.up.sql"), "CREATE TABLE never (id bigint);");
    await writeFile(join(migrations, "9003-never.down.sql"), "DROP TABLE never;");
    const url = unusedDatabaseUrl();

    const failed = await migrate(url, ["--json"], { script });
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toEqual({
      success: false,
      error: {
        code: "MIGRATION_FAILED",
        message:
          "9002-broken failed: division by zero (SQLSTATE 22012). " +
          "It was rolled back; the schema is at 9001-good",
      },
    });
    expect(await logged(url)).toEqual([...names, "9001-good"].map((name) => ({ name })));
    const relations = (await objects(url)).map(({ object }) => object);
    expect(relations).toContain("relation good");
    expect(relations).not.toContain("relation half");
    expect(relations).not.toContain("relation never");

    // Mended, it goes on where it stopped.
    await writeFile(join(migrations, "9002-broken.up.sql"), "CREATE TABLE half (id bigint);");
    const mended = await migrate(url, ["--json"], { script });
    expect(JSON.parse(mended.stdout).applied).toEqual(["9002-broken", "9003-never"]);
  });

  test("on the way down is rolled back as well", async () => {
    const { script, migrations } = await copyProgram();
    await writeFile(join(migrations, "9001-one-way.up.sql"), "CREATE TABLE good (id bigint);");
    await writeFile(
      join(migrations, "9001-one-way.down.sql"),
      "DROP TABLE good; DROP TABLE never_was;",
    );
    const url = unusedDatabaseUrl();
    expect((await migrate(url, [], { script })).code).toBe(0);
    const { code, stderr } = await migrate(url, ["down", "--yes"], { script });
    expect(code).toBe(1);
    expect(stderr).toContain(
      'balancectl: 9001-one-way failed: table "never_was" does not exist (SQLSTATE 42P01). ' +
        "It was rolled back; the schema is at 9001-one-way\n",
    );
    const relations = (await objects(url)).map(({ object }) => object);
    expect(relations).toContain("relation good");
  });

  test("without its way down: nothing is reverted", async () => {
    const { script, migrations } = await copyProgram();
    const url = unusedDatabaseUrl();
    expect((await migrate(url, [], { script })).code).toBe(0);
    await rm(join(migrations, `${latest}.down.sql`));
    const { code, stderr } = await migrate(url, ["down", "--yes"], { script });
    expect(code).toBe(1);
    expect(stderr).toContain(`${latest} failed: ENOENT`);
    expect((await logged(url)).length).toBe(names.length);
  });
});

describe("a database that is newer than the program", () => {
  const message =
    "The database has migrations that this version of balancectl does not know: " +
    "9999-future. Use the newer balancectl";

  test.each([
    [["migrate", "up"]],
    [["migrate", "down", "--yes"]],
    [["migrate", "down", "--yes", "--to", "0"]],
    [["serve", "--port", "0"]],
    [["serve", "--port", "0", "--no-migrate"]],
    [["adjust", "1", "5"]],
  ])("is refused by %j", async (args) => {
    const url = await createTestDatabase();
    await psql(url, "INSERT INTO schema_migrations (name, checksum) VALUES ('9999-future', '')");
    const { code, stdout } = await balancectl([...args, "--json"], { DATABASE_URL: url });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      success: false,
      error: { code: "SCHEMA_TOO_NEW", message },
    });
    expect(await account(url)).toEqual({ balance: 10_000, entries: 1 });
    expect((await logged(url)).length).toBe(names.length + 1);
  });

  test("shows in status", async () => {
    const url = await createTestDatabase();
    await psql(url, "INSERT INTO schema_migrations (name, checksum) VALUES ('9999-future', '')");
    const status = await migrateJson<Status>(url, "status");
    expect(status).toMatchObject({
      applied: [...names, "9999-future"],
      pending: [],
      unknown: ["9999-future"],
    });
    const { stdout } = await migrate(url, ["status"]);
    expect(stdout).toMatch(/^9999-future +applied, unknown to this version of balancectl$/m);
  });
});

describe("a database that is not there", () => {
  test("and that the role may not create: said by name", async () => {
    const server = inject("serverUrl");
    const role = `balancectl_test_${randomBytes(6).toString("hex")}`;
    await psql(server, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    afterFile(() => psql(server, `DROP ROLE ${role}`));
    const url = new URL(unusedDatabaseUrl());
    url.username = role;
    url.password = "x";
    const { code, stderr } = await migrate(url.href);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `Database "${url.pathname.slice(1)}" does not exist and could not be created: ` +
        "permission denied to create database (SQLSTATE 42501)\n",
    );
  });

  test("with a name that needs quotes is created under that name", async () => {
    const url = `${unusedDatabaseUrl()}-A%20%22b`;
    const { code, stderr } = await migrate(url);
    const name = decodeURIComponent(new URL(url).pathname.slice(1));
    const dropped = psql(inject("serverUrl"), `DROP DATABASE "${name.replaceAll('"', '""')}"`);
    expect([code, stderr.includes("Created the database")]).toEqual([0, true]);
    await dropped;
  });
});

test("a password is never shown", async () => {
  const url = new URL(await createTestDatabase());
  url.password = "very-secret";
  url.port = "1";
  for (const args of [
    ["migrate"],
    ["migrate", "--json"],
    ["serve", "--wait", "1"],
    ["adjust", "1", "2"],
  ]) {
    const { code, stdout, stderr } = await balancectl(args, { DATABASE_URL: url.href });
    expect([code, `${stdout}${stderr}`.includes("very-secret")]).toEqual([1, false]);
  }
});
