/** The table in which it is written down what was applied. */
import type pg from "pg";
import { BalancectlError } from "../errors.ts";

export const createSchemaMigrations = `
  CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`;

const ownColumns = ["name text", "applied_at timestamp with time zone"];

/**
 * Names in the order of their numbers; none where there is no such table. Creates nothing.
 * @throws BalancectlError SCHEMA_FOREIGN when another program has a table of this name
 */
export async function appliedMigrations(client: pg.Client): Promise<string[]> {
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
  if (table === undefined) return [];
  if (!ownColumns.every((column) => table.columns.includes(column))) throw foreign();
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM ${table.found} ORDER BY name`,
  );
  const names = rows.map(({ name }) => name);
  // Others have these two columns as well; a version to come has numbered names like these.
  if (!names.every((name) => /^\d{4}-[a-z0-9-]+$/.test(name))) throw foreign();
  return names;
}

/** How a database that others use is shared. */
export const ownPlace = "use a database or a schema of its own (BALANCECTL_SCHEMA=balancectl)";

function foreign(): BalancectlError {
  return new BalancectlError(
    "SCHEMA_FOREIGN",
    `schema_migrations is another program's: ${ownPlace}`,
  );
}
