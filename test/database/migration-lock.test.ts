/** Whose turn it is to change the schema, who is in the way, and what a database must be for it. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import pg from "pg";
import { describe, expect, inject, test } from "vitest";
import { migrationFiles } from "../../src/database/migration-files.ts";
import { migrateDown, migrateUp, schemaStatus } from "../../src/database/migrator.ts";
import { BalancectlError } from "../../src/errors.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { commandLine, runHere } from "../support/server/command-line.ts";
import { startServer } from "../support/server/program.ts";

/** The two advisory locks of a schema, as another program's session could take them. */
const shipped = await migrationFiles();
const [migrations = "", servers = ""] = [0x62616c63746c, 0x62616c637376].map(
  (number) => `${number} # hashtextextended(coalesce(current_schema()::text, ''), 0)`,
);

/** A session like psql's. */
async function session(url: string, sql: string): Promise<pg.Client & { pid: number }> {
  const client = new pg.Client({ connectionString: url, application_name: "psql" });
  client.on("error", () => {});
  await client.connect();
  afterFile(() => client.end());
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  await client.query(sql);
  return Object.assign(client, { pid: rows[0]?.pid as number });
}

async function failureOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await promise.then(
    () => new Error("it did not fail"),
    (thrown) => thrown,
  );
  return error instanceof BalancectlError
    ? { code: error.code, message: error.message }
    : { code: "", message: String(error) };
}

/** Resolves when the session waits, or has nothing to do: asked of the database. */
async function until(url: string, sql: string): Promise<void> {
  while ((await psql(url, sql)).length === 0);
}

const holder = (pid: number) =>
  new RegExp(
    `process ${pid} \\(user \\S+, application "psql", from \\S+, connected since 20\\S+Z\\)\\. ` +
      `By force: SELECT pg_terminate_backend\\(${pid}\\)`,
  );

describe("a lock that somebody else holds", () => {
  test("is waited for so long, and then its holder is named; nothing is left behind", async () => {
    const url = await createTestDatabase({ template: false });
    const { pid } = await session(url, `SELECT pg_advisory_lock(${migrations})`);
    const { code, message } = await failureOf(migrateUp(url, { lockWaitMs: 300 }));
    expect(code).toBe("DATABASE_UNAVAILABLE");
    expect(message).toMatch(
      /^Another session has been migrating this database .* nothing was changed\. It is /,
    );
    expect(message).toMatch(holder(pid));
    expect(await psql(url, "SELECT FROM pg_class WHERE relname = 'schema_migrations'")).toEqual([]);
  });

  test("is waited for no longer than it is held", async () => {
    const url = await createTestDatabase();
    const other = await session(url, `SELECT pg_advisory_lock(${migrations})`);
    const reverting = migrateDown(url);
    await until(url, asking("pg_try_advisory_lock("));
    await other.query("SELECT pg_advisory_unlock_all()");
    expect((await reverting).done.length).toBe(1);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("is left at once at %s", async (signal) => {
    for (const args of [["migrate"], ["serve", "--port", "0"]]) {
      const url = await createTestDatabase({ template: false });
      await session(url, `SELECT pg_advisory_lock(${migrations})`);
      const child = commandLine(url).start(...args);
      await until(url, asking("pg_try_advisory_lock("));
      const sentMs = Date.now();
      child.kill(signal);
      const [code] = await once(child, "exit");
      const expected = signal === "SIGTERM" ? 143 : 130;
      expect([args, code, Date.now() - sentMs < 3_000]).toEqual([args, expected, true]);
    }
  });

  test("is given back before the session ends", async () => {
    const url = await createTestDatabase();
    const other = await session(url, "SELECT 1");
    for (const run of [migrateDown, migrateUp]) {
      await run(url);
      const sql = `SELECT pg_try_advisory_lock(${migrations}) AS mine, pg_try_advisory_lock(${servers}) AS too`;
      expect((await other.query(sql)).rows).toEqual([{ mine: true, too: true }]);
      await other.query("SELECT pg_advisory_unlock_all()");
    }
  });
});

/** Finds who asked last for something. */
function asking(what: string): string {
  return `SELECT FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'balancectl migrate' AND query LIKE '%${what}%'`;
}

describe("a table that somebody else uses", () => {
  test("is waited for so long, and then who uses it is named", async () => {
    const url = await createTestDatabase();
    const { pid } = await session(url, "BEGIN; SELECT FROM users LIMIT 1");
    const { code, message } = await failureOf(migrateDown(url, 0, { lockWaitMs: 300 }));
    expect(code).toBe("MIGRATION_FAILED");
    expect(message).toContain(
      "canceling statement due to lock timeout (SQLSTATE 55P03). It was rolled back",
    );
    expect(message).toContain(`\nIn use by process ${pid} (`);
  });

  test("is not waited for after SIGTERM: what ran is rolled back", async () => {
    const url = await createTestDatabase();
    await session(url, "BEGIN; SELECT FROM users LIMIT 1");
    const child = commandLine(url).start("migrate", "down", "--to", "0", "--yes");
    await until(
      url,
      "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND relation = 'users'::regclass",
    );
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(143);
    expect(await psql(url, "SELECT FROM pg_locks WHERE NOT granted")).toEqual([]);
    // It was the first of them to touch users.
    expect((await schemaStatus(url)).applied.at(-1)).toBe("0008-guarded-holds");
  });
});

describe("down", () => {
  test("does nothing while a server runs, and names its session", async () => {
    const url = await createTestDatabase();
    const { applied } = await schemaStatus(url);
    for (const args of [[], ["--workers", "2"]]) {
      const server = await startServer({ DATABASE_URL: url }, args);
      const { code, stderr } = await runHere(["migrate", "down", "--yes", "--to", "0"], {
        DATABASE_URL: url,
      });
      expect([code, stderr.split("\n").find((line) => line.startsWith("balancectl:"))]).toEqual([
        1,
        expect.stringMatching(
          /^balancectl: A server runs on this database: stop it first; nothing was reverted\. Its session is process \d+ \(user \S+, application "balancectl serve", /,
        ),
      ]);
      expect((await schemaStatus(url)).applied).toEqual(applied);
      expect(await server.stop()).toBe(0);
      // Given back before the server has ended.
      const done = await runHere(["migrate", "down", "--yes"], { DATABASE_URL: url });
      expect(done.code).toBe(0);
      await migrateUp(url);
    }
  });

  test("knows a server whose connection was lost", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url });
    const mine = `FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                   WHERE a.datname = current_database() AND l.locktype = 'advisory'
                     AND a.application_name = 'balancectl serve'`;
    const [lost] = await psql<{ pid: number }>(
      url,
      `SELECT pid, pg_terminate_backend(pid) ${mine}`,
    );
    await until(url, `SELECT ${mine} AND pid <> ${lost?.pid}`);
    expect(await failureOf(migrateDown(url))).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(await server.stop()).toBe(0);
  });

  test("keeps a server from starting until it has ended", async () => {
    const url = await createTestDatabase();
    const other = await session(url, `SELECT pg_advisory_lock(${servers})`);
    const { code, stderr } = await runHere(["serve", "--port", "0"], { DATABASE_URL: url });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        "The schema of this database is being reverted; try again later. By process",
      ),
    ]);
    expect(stderr).toMatch(holder(other.pid));
  });

  test.each([["0"], ["0003-holds"], ["0001-users-and-entries"]])(
    "--to %s takes nothing while holds are open",
    async (to) => {
      const url = await createTestDatabase();
      const cli = commandLine(url);
      const { applied } = await schemaStatus(url);
      const { data } = await cli.json<{ data: { id: string } }>("hold", "1", "40");
      const down = ["migrate", "down", "--yes", "--to", to, "--json"];
      const { code, stdout } = await cli.run(...down);
      expect([code, JSON.parse(stdout).error]).toEqual([
        1,
        {
          code: "MIGRATION_FAILED",
          message:
            "0003-holds cannot be reverted: open holds keep 40 (1 of them), which would stay held for " +
            "ever. Capture or void them first (`balancectl holds 1` shows the first user's, and ends " +
            "those past their time); nothing was reverted",
        },
      ]);
      expect((await schemaStatus(url)).applied).toEqual(applied);
      await cli.json("void", "1", data.id);
      expect((await cli.run(...down)).code).toBe(0);
    },
  );

  test("of what is above the holds takes none of them", async () => {
    const url = await createTestDatabase();
    await commandLine(url).json("hold", "1", "40");
    const { done } = await migrateDown(url, "0004-apply-operations");
    expect(done.length).toBe(shipped.length - 3);
  });
});

const foreign = [
  ["create table schema_migrations (version varchar(128) primary key)"],
  ["create table schema_migrations (version bigint primary key, dirty boolean not null)"],
  ["create table schema_migrations (name text primary key)"],
  [
    "create table schema_migrations (name text, applied_at timestamptz); insert into schema_migrations values ('20240101_init')",
  ],
  ["create view schema_migrations as select 1 as version"],
];

describe("another program's schema_migrations", () => {
  test.each(foreign)("%s", async (sql) => {
    const url = await createTestDatabase({ template: false });
    await psql(url, sql);
    const before = await psql(
      url,
      "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    const cli = commandLine(url);
    const runs = [
      ["migrate"],
      ["migrate", "status"],
      ["migrate", "down", "--yes"],
      ["users", "list"],
    ];
    for (const args of runs) {
      const { code, stdout } = await cli.run(...args, "--json");
      expect([args, code, JSON.parse(stdout).error]).toEqual([
        args,
        1,
        {
          code: "SCHEMA_FOREIGN",
          message: expect.stringMatching(
            /^schema_migrations is another program's: use a database or a schema of its own /,
          ),
        },
      ]);
    }
    expect(
      await psql(url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
    ).toEqual(before);
  });

  test("in another schema of the search_path is in nobody's way", async () => {
    const url = await createTestDatabase({ template: false });
    await psql(url, `${foreign[0]}; create schema "own Place"`);
    const own = `${url}?options=${encodeURIComponent('-c search_path="own\\ Place",public')}`;
    expect((await migrateUp(own)).done.length).toBeGreaterThan(0);
    expect((await migrateUp(own)).done).toEqual([]);
  });
});

test.each(["table users (id serial)", "table holds (id int)", "view entries as select 1 as id"])(
  "another program's %s: nothing is left behind",
  async (what) => {
    const url = await createTestDatabase({ template: false });
    await psql(url, `create ${what}`);
    const { code, stderr } = await runHere(["migrate"], { DATABASE_URL: url });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      / failed: relation "\w+" already exists \(SQLSTATE 42P07\)\. It was rolled back; .*\. What is there already is another program's: use a database or a schema of its own /,
    );
    const applied = (await schemaStatus(url)).applied.length;
    const left = await psql(url, "SELECT FROM pg_class WHERE relname = 'schema_migrations'");
    expect(left.length).toBe(applied === 0 ? 0 : 1);
  },
);

describe("rights that are missing", () => {
  async function roleOn(url: string): Promise<{ role: string; as: string }> {
    const role = `balancectl_test_${randomBytes(6).toString("hex")}`;
    await psql(url, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
    afterFile(async () => {
      await psql(url, `DROP OWNED BY ${role}`);
      await psql(inject("serverUrl"), `DROP ROLE ${role}`);
    });
    const as = new URL(url);
    as.username = role;
    as.password = "x";
    return { role, as: as.href };
  }

  test("to create tables: which, and how they are given", async () => {
    const url = await createTestDatabase({ template: false });
    await psql(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    const { role, as } = await roleOn(url);
    const { code, message } = await failureOf(migrateUp(as));
    const grant = `GRANT CREATE ON SCHEMA public TO ${role}`;
    expect([code, message]).toEqual([
      "MIGRATION_FAILED",
      `Role ${role} may not create tables in schema public; nothing was changed\n` +
        `The owner of database ${new URL(url).pathname.slice(1)} can let it: ${grant}`,
    ]);
    await psql(url, grant);
    expect((await migrateUp(as)).done.length).toBeGreaterThan(0);
  });

  test("to use a schema, or a schema that is not there", async () => {
    const url = await createTestDatabase({ template: false });
    const { message } = await failureOf(migrateUp(`${url}?options=-c%20search_path%3Dmissing`));
    expect(message).toMatch(
      /^There is no schema for the tables: of the search_path \(missing\) none exists that role \S+ may use; nothing was changed\nCREATE SCHEMA makes one$/,
    );
  });

  test("over tables of another role", async () => {
    const url = await createTestDatabase();
    const { role, as } = await roleOn(url);
    await psql(url, `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
    const { code, message } = await failureOf(migrateDown(as));
    expect(code).toBe("MIGRATION_FAILED");
    expect(message).toMatch(
      /must be owner of .* \(SQLSTATE 42501\)\. It was rolled back; .*\nRun it as the role that owns the tables$/,
    );
  });
});
