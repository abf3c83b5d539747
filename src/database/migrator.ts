/**
 * Migrations: SQL files run by Umzug. Umzug has no lock and logs outside the migration's
 * transaction, so both are added here: one advisory lock around a whole run, and each file together
 * with its row in schema_migrations in one transaction.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { Umzug } from "umzug";
import { BalancectlError } from "../errors.ts";
import { packageRoot } from "../package-root.ts";
import { sqlState, translateError } from "./translate-error.ts";

export interface SchemaStatus {
  readonly applied: string[];
  readonly pending: string[];
  /** Applied, but not among the files of this program: the database is newer than it. */
  readonly unknown: string[];
}

/** Names of the migrations that a run applied or reverted, in that order. */
export interface MigrationRun {
  readonly done: string[];
}

/** "balctl" in ASCII: the advisory lock that lets one migration run at a time. */
const migrationLock = 0x62616c63746c;

/**
 * Applies every pending migration. Waits while another process migrates.
 * @throws BalancectlError SCHEMA_TOO_NEW, MIGRATION_FAILED (rolled back), DATABASE_UNAVAILABLE
 */
export async function migrateUp(url: string): Promise<MigrationRun> {
  return await withMigrator(url, async (umzug) => (await umzug.up()).map(({ name }) => name));
}

/**
 * Reverts the latest migration; with `to`, everything down to and including that name; with
 * `to: 0`, everything.
 * @throws BalancectlError INVALID_REQUEST for an unknown or unapplied `to`, and as migrateUp
 */
export async function migrateDown(url: string, to?: string | 0): Promise<MigrationRun> {
  return await withMigrator(url, async (umzug) => {
    if (to !== undefined && to !== 0) {
      const applied = (await umzug.executed()).map(({ name }) => name);
      if (!applied.includes(to)) {
        throw new BalancectlError(
          "INVALID_REQUEST",
          `${to} is not an applied migration; applied are: ${applied.join(", ") || "none"}`,
        );
      }
    }
    const reverted = await umzug.down(to === undefined ? undefined : { to });
    return reverted.map(({ name }) => name);
  });
}

/** What is applied and what is not. Creates nothing. */
export async function schemaStatus(url: string): Promise<SchemaStatus> {
  const client = await connect(url);
  try {
    const files = (await migrationFiles()).map(({ name }) => name);
    const applied = await appliedMigrations(client);
    return {
      applied,
      pending: files.filter((name) => !applied.includes(name)),
      unknown: applied.filter((name) => !files.includes(name)),
    };
  } catch (error) {
    throw translateError(error);
  } finally {
    await client.end();
  }
}

/**
 * Creates the database that the URL names if it is not there yet.
 * @returns whether it was created
 * @throws BalancectlError DATABASE_UNAVAILABLE when it is missing and the role may not create it
 */
export async function ensureDatabase(url: string): Promise<boolean> {
  const missing = await connect(url).then(
    (client) => client.end().then(() => false),
    (error) => {
      if (sqlState(error.cause) === "3D000") return true;
      throw error;
    },
  );
  if (!missing) return false;
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  const client = await connect(maintenance.href);
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
    return true;
  } catch (error) {
    // Somebody else was quicker (42P04, or 23505 when at the very same time).
    if (["42P04", "23505"].includes(sqlState(error) ?? "")) return false;
    throw new BalancectlError(
      "DATABASE_UNAVAILABLE",
      `Database "${name}" does not exist and could not be created: ${reason(error)}`,
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

async function withMigrator(
  url: string,
  run: (umzug: Umzug<pg.Client>) => Promise<string[]>,
): Promise<MigrationRun> {
  const client = await connect(url);
  try {
    await client.query("SELECT pg_advisory_lock($1)", [migrationLock]);
    await client.query(
      `CREATE TABLE IF NOT EXISTS schema_migrations (
         name       text PRIMARY KEY,
         applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
       )`,
    );
    const files = await migrationFiles();
    const applied = await appliedMigrations(client);
    const unknown = applied.filter((name) => !files.some((file) => file.name === name));
    if (unknown.length > 0) {
      throw new BalancectlError(
        "SCHEMA_TOO_NEW",
        `The database has migrations that this version of balancectl does not know: ` +
          `${unknown.join(", ")}. Use the newer balancectl`,
      );
    }
    return { done: await run(await createUmzug(client, files)) };
  } catch (error) {
    throw translateError(umzugCause(error));
  } finally {
    // Ends the session, and with it the advisory lock.
    await client.end();
  }
}

interface MigrationFile {
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

/** Umzug is loaded when there is something to do: a server whose schema is ready has 9 MB less. */
async function createUmzug(client: pg.Client, files: MigrationFile[]): Promise<Umzug<pg.Client>> {
  const { Umzug } = await import("umzug");
  return new Umzug({
    context: client,
    logger: undefined,
    migrations: files.map(({ name, up, down }) => ({
      name,
      up: () => begin(client, name, up),
      down: () => begin(client, name, down),
    })),
    // Called right after up or down: the log and the migration commit together.
    storage: {
      executed: () => appliedMigrations(client),
      logMigration: async ({ name }) => {
        await client.query("INSERT INTO schema_migrations (name) VALUES ($1)", [name]);
        await client.query("COMMIT");
      },
      unlogMigration: async ({ name }) => {
        await client.query("DELETE FROM schema_migrations WHERE name = $1", [name]);
        await client.query("COMMIT");
      },
    },
  });
}

/** Opens the transaction that the storage commits; on failure it is rolled back here. */
async function begin(client: pg.Client, name: string, file: string): Promise<void> {
  try {
    await client.query("BEGIN");
    // One schema for all that the file makes, and what functions with SET ... FROM CURRENT look into.
    await client.query(
      "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)",
    );
    await client.query(await readFile(file, "utf8"));
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    const applied = await appliedMigrations(client).catch(() => []);
    throw new BalancectlError(
      "MIGRATION_FAILED",
      `${name} failed: ${reason(error)}. It was rolled back; the schema is at ${applied.at(-1) ?? "nothing"}`,
      { cause: error },
    );
  }
}

async function migrationFiles(): Promise<MigrationFile[]> {
  const folder = join(packageRoot, "migrations");
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".up.sql"))
    .map((file) => file.slice(0, -".up.sql".length))
    .sort();
  return names.map((name) => ({
    name,
    up: join(folder, `${name}.up.sql`),
    down: join(folder, `${name}.down.sql`),
  }));
}

async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const { rows: tables } = await client.query("SELECT to_regclass('schema_migrations') AS found");
  if (tables[0].found === null) return [];
  const { rows } = await client.query("SELECT name FROM schema_migrations ORDER BY name");
  return rows.map((row: { name: string }) => row.name);
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "balancectl migrate",
    connectionTimeoutMillis: 5_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw translateError(error);
  }
}

/** Umzug wraps what a migration throws. */
function umzugCause(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof BalancectlError ? error.cause : error;
}

function reason(error: unknown): string {
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  return state === undefined ? message : `${message} (SQLSTATE ${state})`;
}
