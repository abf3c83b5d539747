/** What a role needs for a server, no more, and how it is given: the functions do the rest with their owner's rights. */
import { QueryTypes, type Sequelize } from "sequelize";

/** Read by the server itself. */
export const readTables = [
  "users",
  "entries",
  "holds",
  "idempotency_keys",
  "actors",
  "tokens",
  "access_state",
  "schema_migrations",
] as const;

/** Called by the server itself, by their names: each is there once. */
export const calledFunctions = [
  "apply_operations",
  "apply_adjustment",
  "open_receipts",
  "write_receipt",
  "resolve_receipt",
  "raise_fence",
  "remove_old_keys",
  "actor_of",
  "next_user_id",
  "skip_user_ids",
  "write_audit",
  "version_at",
  "creation_scope",
] as const;

/** For an application's own transaction. */
export const doorFunctions = [
  ...["adjust", "transfer", "hold", "capture", "void", "open_user"].flatMap((name) => [
    name,
    `try_${name}`,
  ]),
  "balance_of",
] as const;

/** Shown to an application, to join with what it has of its own. */
export const doorTables = ["users", "entries", "holds"] as const;

/** What the role that we are may not do and a server has to, as "SELECT on entries". */
export async function missingRights(sequelize: Sequelize): Promise<string[]> {
  const rows = await sequelize.query<{ missing: string }>(
    `SELECT 'SELECT on ' || name AS missing
       FROM unnest($1::text[]) AS name WHERE NOT has_table_privilege(name, 'SELECT')
     UNION ALL
     SELECT 'EXECUTE on ' || p.proname
       FROM pg_proc p
      WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND p.proname = ANY ($2::text[]) AND NOT has_function_privilege(p.oid, 'EXECUTE')`,
    { bind: [[...readTables], [...calledFunctions]], type: QueryTypes.SELECT },
  );
  return rows.map(({ missing }) => missing);
}
