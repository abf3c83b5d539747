/**
 * Migrations: SQL files run by Umzug. Umzug has no lock and logs outside the migration's
 * transaction, so both are added here: one advisory lock around a whole run, and each file together
 * with its row in schema_migrations in one transaction.
 */
import { readFile } from "node:fs/promises";
import type pg from "pg";
import type { Umzug } from "umzug";
import { BalancectlError } from "../errors.ts";
import {
  type Alteration,
  findAlterations,
  refuseAlterations,
  refuseForeignFunctions,
} from "./alterations.ts";
import { grantedRoles, grantTo } from "./grants.ts";
import { type Holdings, holdingsOf, namesToRevert, refuseOpenHolds } from "./migrate-down.ts";
import { connect } from "./migration-connection.ts";
import { requireRights, whyFailed } from "./migration-failure.ts";
import { checksumOf, type MigrationFile, migrationFiles } from "./migration-files.ts";
import {
  lockAsServer,
  lockMigrations,
  lockServersOut,
  lockWaitMsMax,
  type ServerLock,
  unlockMigrations,
  unlockServers,
} from "./migration-lock.ts";
import { appliedMigrations, createSchemaMigrations } from "./schema-migrations.ts";
import { translateError } from "./translate-error.ts";

export interface SchemaStatus {
  readonly applied: string[];
  readonly pending: string[];
  /** Applied, but not among the files of this program: the database is newer than it. */
  readonly unknown: string[];
  /** What is not as the applied ones make it. */
  readonly altered: Alteration[];
  /** The schema of the ledger, quoted where SQL wants it; "" while there is none. */
  readonly schema: string;
}

/** Names of the migrations that a run applied or reverted, in that order. */
export interface MigrationRun {
  readonly done: string[];
}

export interface MigrateOptions {
  /** Gives up: what runs is cancelled and rolled back, and the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** How long others may keep us waiting, in milliseconds. Default a minute. */
  readonly lockWaitMs?: number | undefined;
  /** Who does it, like "os:alice", for the audit; nobody is no line. */
  readonly by?: string | undefined;
}

/**
 * Applies every pending migration. Waits while another process migrates, a minute at the most.
 * @throws BalancectlError SCHEMA_TOO_NEW, SCHEMA_FOREIGN, SCHEMA_ALTERED (an applied one has another
 * text), MIGRATION_FAILED (rolled back), DATABASE_UNAVAILABLE
 */
export async function migrateUp(url: string, options: MigrateOptions = {}): Promise<MigrationRun> {
  return await withMigrator(url, options, async (client, umzug, files, applied) => {
    // A function may be altered: what comes may be what puts it right.
    const altered = (await findAlterations(client)).filter(({ what }) => what === "migration");
    refuseAlterations(altered, "");
    if (files.length <= applied.length) return [];
    await requireRights(client);
    // What is made anew has none of the grants of what it replaces.
    const roles = await grantedRoles(client);
    const done = (await umzug.up()).map(({ name }) => name);
    for (const granted of roles) await grantTo(client, granted);
    await audit(client, options, "migrate.up", done);
    return done;
  });
}

/**
 * Reverts the latest migration; with `to`, everything down to and including that name; with
 * `to: 0`, everything. What it held is gone.
 * @throws BalancectlError INVALID_REQUEST for an unknown or unapplied `to`; MIGRATION_FAILED while a
 * server runs or holds are open; and as migrateUp
 */
export async function migrateDown(
  url: string,
  to?: string | 0,
  options: MigrateOptions = {},
): Promise<MigrationRun> {
  return await withMigrator(url, options, async (client, umzug, _files, applied) => {
    const names = namesToRevert(applied, to);
    await lockServersOut(client);
    try {
      // Before anything goes: a refusal must not leave the half of it.
      await refuseOpenHolds(client, names);
      const reverted = await umzug.down(to === undefined ? undefined : { to });
      const done = reverted.map(({ name }) => name);
      await audit(client, options, "migrate.down", done);
      return done;
    } finally {
      await unlockServers(client).catch(() => {});
    }
  });
}

/** Where there is an audit to write it in. */
async function audit(
  client: pg.Client,
  { by }: MigrateOptions,
  action: string,
  names: readonly string[],
): Promise<void> {
  if (by === undefined || names.length === 0) return;
  const { rows } = await client.query("SELECT WHERE to_regproc('write_audit') IS NOT NULL");
  if (rows.length === 0) return;
  await client.query("SELECT write_audit($1, $2, $3)", [by, action, JSON.stringify({ names })]);
}

/** What `migrateDown` would revert, and what there is to lose. */
export async function lookDown(
  url: string,
  to?: string | 0,
): Promise<{ names: string[]; holdings: Holdings }> {
  const client = await connect(url);
  try {
    const applied = await appliedMigrations(client);
    return { names: namesToRevert(applied, to), holdings: await holdingsOf(client, applied) };
  } catch (error) {
    throw translateError(error);
  } finally {
    await client.end();
  }
}

/** Until it is released nothing is reverted: a server runs. @throws BalancectlError DATABASE_UNAVAILABLE */
export async function announceServer(url: string): Promise<ServerLock> {
  try {
    return await lockAsServer(() => connect(url));
  } catch (error) {
    throw translateError(error);
  }
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
      altered: await findAlterations(client),
      schema: await currentSchema(client),
    };
  } catch (error) {
    throw translateError(error);
  } finally {
    await client.end();
  }
}

async function withMigrator(
  url: string,
  { signal, lockWaitMs = lockWaitMsMax }: MigrateOptions,
  run: (
    client: pg.Client,
    umzug: Umzug<pg.Client>,
    files: readonly MigrationFile[],
    applied: readonly string[],
  ) => Promise<string[]>,
): Promise<MigrationRun> {
  signal?.throwIfAborted();
  const client = await connect(url);
  const cancel = await canceller(url, client);
  signal?.addEventListener("abort", cancel);
  try {
    await client.query("SELECT set_config('lock_timeout', $1, false)", [String(lockWaitMs)]);
    await lockMigrations(client, signal, lockWaitMs);
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
    return { done: await run(client, await createUmzug(client, files, signal), files, applied) };
  } catch (error) {
    signal?.throwIfAborted();
    throw translateError(umzugCause(error));
  } finally {
    signal?.removeEventListener("abort", cancel);
    await unlockMigrations(client).catch(() => {});
    await client.end();
  }
}

/** Cancels the statement that runs: a client that goes away is only noticed when it has ended. */
async function canceller(url: string, client: pg.Client): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return async () => {
    const other = await connect(url).catch(() => undefined);
    await other?.query("SELECT pg_cancel_backend($1)", [rows[0]?.pid]).catch(() => {});
    await other?.end().catch(() => {});
  };
}

/** Umzug is loaded when there is something to do: a server whose schema is ready has 9 MB less. */
async function createUmzug(
  client: pg.Client,
  files: MigrationFile[],
  signal: AbortSignal | undefined,
): Promise<Umzug<pg.Client>> {
  const { Umzug } = await import("umzug");
  let checksum = "";
  return new Umzug({
    context: client,
    logger: undefined,
    migrations: files.map(({ name, up, down }) => ({
      name,
      up: async () => {
        const first = async () => {
          await client.query(createSchemaMigrations);
          await refuseForeignFunctions(client, name);
        };
        checksum = checksumOf(await begin(client, name, up, signal, first));
      },
      // Once more, now that nothing is left that could open another.
      down: async () => {
        await begin(client, name, down, signal, () => refuseOpenHolds(client, [name]));
      },
    })),
    // Called right after up or down: the log and the migration commit together.
    storage: {
      executed: () => appliedMigrations(client),
      logMigration: async ({ name }) => {
        const row = "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)";
        await client.query(row, [name, checksum]);
        await client.query("COMMIT");
      },
      unlogMigration: async ({ name }) => {
        await client.query("DELETE FROM schema_migrations WHERE name = $1", [name]);
        await client.query("COMMIT");
      },
    },
  });
}

/**
 * Opens the transaction that the storage commits; on failure it is rolled back here.
 * @returns what was run
 */
async function begin(
  client: pg.Client,
  name: string,
  file: string,
  signal: AbortSignal | undefined,
  first: () => Promise<unknown>,
): Promise<string> {
  signal?.throwIfAborted();
  try {
    await client.query("BEGIN");
    // One schema for all that the file makes, and what functions with SET ... FROM CURRENT look into.
    await client.query(
      "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)",
    );
    await first();
    const sql = await readFile(file, "utf8");
    await client.query(sql);
    return sql;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    if (error instanceof BalancectlError) throw error;
    throw new BalancectlError("MIGRATION_FAILED", await whyFailed(client, name, error), {
      cause: error,
    });
  }
}

async function currentSchema(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ schema: string | null }>(
    "SELECT quote_ident(current_schema()) AS schema",
  );
  return rows[0]?.schema ?? "";
}

/** Umzug wraps what a migration throws. */
function umzugCause(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof BalancectlError ? error.cause : error;
}
