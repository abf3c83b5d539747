/** The table in which it is written down what was applied. */
import type pg from "pg";
import { BalancectlError } from "../errors.ts";

export const createSchemaMigrations = `
  CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Of the file as it was run: SHA-256 in hex.
    checksum   text NOT NULL
  )`;

const oldColumns = ["name text", "applied_at timestamp with time zone"];
const ownColumns = [...oldColumns, "checksum text"];

/**
 * Names in the order of their numbers; none where there is no such table. Creates nothing.
 * @throws BalancectlError SCHEMA_FOREIGN when another program has a table of this name; SCHEMA_ALTERED
 * when a balancectl from before the first release made it
 */
export async function appliedMigrations(client: pg.Client): Promise<string[]> {
  return [...(await appliedChecksums(client)).keys()];
}

/** The same, with the checksum of each file as it was run. */
export async function appliedChecksums(client: pg.Client): Promise<Map<string, string>> {
  const { rows: tables } = await client.query<{ found: string; columns: string[] }>(
    `SELECT c.oid::regclass::text AS found,
            array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)) AS columns
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relname = 'schema_migrations'
        AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND a.attnum > 0 AND NOT a.attisdropped
      GROUP BY c.oid`,
  );
  const [table] = tables;
  if (table === undefined) return new Map();
  const isOurs = ownColumns.every((column) => table.columns.includes(column));
  if (!isOurs && !oldColumns.every((column) => table.columns.includes(column))) throw foreign();
  const { rows } = await client.query<{ name: string; checksum: string }>(
    `SELECT name, ${isOurs ? "checksum" : "''"} AS checksum FROM ${table.found} ORDER BY name`,
  );
  // Others have these columns as well; a version to come has numbered names like these.
  if (!rows.every(({ name }) => /^\d{4}-[a-z0-9-]+$/.test(name))) throw foreign();
  if (!isOurs) throw rows.length > 0 ? unreleased() : foreign();
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

/** How a database that others use is shared. */
export const ownPlace = "use a database or a schema of its own (BALANCECTL_SCHEMA=balancectl)";

function foreign(): BalancectlError {
  return new BalancectlError(
    "SCHEMA_FOREIGN",
    `schema_migrations is another program's: ${ownPlace}`,
  );
}

function unreleased(): BalancectlError {
  return new BalancectlError(
    "SCHEMA_ALTERED",
    "The schema was made by a balancectl from before the first release, whose migrations are not these, " +
      "and nothing brings it up to date: use another database or schema, or for the embedded PostgreSQL " +
      "another data directory (BALANCECTL_DATA_DIR)",
  );
}
