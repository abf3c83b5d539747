/** Why a migration cannot be run, in words, and what to do about it. */
import type pg from "pg";
import { BalancectlError } from "../errors.ts";
import { tableHolders } from "./migration-lock.ts";
import { appliedMigrations, ownPlace } from "./schema-migrations.ts";
import { sqlState } from "./translate-error.ts";

/** @throws BalancectlError MIGRATION_FAILED that says which right is missing, and how it is given */
export async function requireRights(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{
    schema: string | null;
    mayCreate: boolean | null;
    path: string;
    role: string;
    database: string;
  }>(
    `SELECT quote_ident(current_schema()) AS schema,
            has_schema_privilege(current_schema(), 'CREATE') AS "mayCreate",
            current_setting('search_path') AS path,
            quote_ident(current_user) AS role,
            quote_ident(current_database()) AS database`,
  );
  const [found] = rows;
  if (found === undefined || found.mayCreate) return;
  const { schema, path, role, database } = found;
  throw new BalancectlError(
    "MIGRATION_FAILED",
    schema === null
      ? `There is no schema for the tables: of the search_path (${path}) none exists that role ${role} ` +
          "may use; nothing was changed\nCREATE SCHEMA makes one"
      : `Role ${role} may not create tables in schema ${schema}; nothing was changed\n` +
          `The owner of database ${database} can let it: GRANT CREATE ON SCHEMA ${schema} TO ${role}`,
  );
}

/** For people. The transaction has been rolled back. */
export async function whyFailed(client: pg.Client, name: string, error: unknown): Promise<string> {
  const applied = await appliedMigrations(client).catch(() => []);
  const state = sqlState(error) ?? "";
  const said =
    `${name} failed: ${wordsOf(error)}. ` +
    `It was rolled back; the schema is at ${applied.at(-1) ?? "nothing"}`;
  // A table or an index, a type or a trigger, a function of this name.
  if (["42P07", "42710", "42723"].includes(state)) {
    return `${said}. What is there already is another program's: ${ownPlace}`;
  }
  if (state === "42501") return `${said}\nRun it as the role that owns the tables`;
  if (state === "55P03") {
    const others = await tableHolders(client).catch(() => "");
    return `${said}\nIn use by ${others || "nobody any more: try again"}`;
  }
  return said;
}

/** What PostgreSQL said, with its SQLSTATE. */
export function wordsOf(error: unknown): string {
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  return state === undefined ? message : `${message} (SQLSTATE ${state})`;
}
