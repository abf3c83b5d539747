/** Roles that may do what the ledger's functions do, and nothing to its tables by hand. */
import type pg from "pg";

import { BalancectlError } from "../errors.ts";
import { connect } from "./migration-connection.ts";
import { calledFunctions, doorFunctions, doorTables, readTables } from "./rights.ts";
import { sqlState, translateError } from "./translate-error.ts";

/** What a role is for: to serve, or to be an application's that calls the SQL door. */
export type Purpose = "server" | "application";

const rights = {
  server: { functions: calledFunctions, tables: readTables, marker: "apply_operations" },
  application: { functions: doorFunctions, tables: doorTables, marker: "adjust" },
} as const;

/**
 * Gives a role what it needs: EXECUTE on functions, SELECT on tables, and nothing else of ours; makes the role when it is
 * not there.
 * @param by who does it, for the audit
 * @returns whether it was made
 * @throws BalancectlError INVALID_REQUEST when the role could go round the guards all the same
 */
export async function grantRole(
  url: string,
  role: string,
  by: string,
  purpose: Purpose = "server",
): Promise<boolean> {
  const client = await connect(url);
  try {
    await refuseOpenSchema(client);
    await client.query("BEGIN");
    const { rows } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [role]);
    const isNew = rows.length === 0;
    if (isNew) await client.query(`CREATE ROLE ${client.escapeIdentifier(role)} LOGIN`);
    await grantTo(client, { role, purpose });
    const bypass = await bypassOf(client, role);
    if (bypass !== null) {
      throw new BalancectlError(
        "INVALID_REQUEST",
        `The role ${role} ${bypass}; nothing was granted`,
      );
    }
    await client.query("SELECT write_audit($1, 'grant', $2)", [
      by,
      JSON.stringify({ role, purpose }),
    ]);
    await client.query("COMMIT");
    return isNew;
  } catch (error) {
    if (error instanceof BalancectlError || sqlState(error) !== "42501")
      throw translateError(error);
    const message = `This database role may not grant: ${(error as Error).message}. Use the one that owns the tables`;
    throw new BalancectlError("INVALID_REQUEST", message, { cause: error });
  } finally {
    await client.end();
  }
}

/** Roles that were granted to before, for a migration that makes functions anew. */
export async function grantedRoles(client: pg.Client): Promise<GrantedRole[]> {
  const { rows } = await client.query<{ role: string; marker: string }>(
    `SELECT DISTINCT r.rolname::text AS role, p.proname::text AS marker
       FROM pg_proc p
      CROSS JOIN LATERAL aclexplode(p.proacl) a
       JOIN pg_roles r ON r.oid = a.grantee
      WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND p.proname = ANY ($1::text[]) AND a.grantee <> p.proowner`,
    [Object.values(rights).map(({ marker }) => marker)],
  );
  return rows.map(({ role, marker }) => ({
    role,
    purpose: marker === rights.server.marker ? "server" : "application",
  }));
}

export interface GrantedRole {
  readonly role: string;
  readonly purpose: Purpose;
}

/** Takes everything away first: what it had before is no part of it. */
export async function grantTo(client: pg.Client, { role, purpose }: GrantedRole): Promise<void> {
  const to = client.escapeIdentifier(role);
  const { rows } = await client.query<{ schema: string; functions: string[]; tables: string[] }>(
    `SELECT quote_ident(current_schema()) AS schema,
            (SELECT array_agg(p.oid::regprocedure::text) FROM pg_proc p
              WHERE p.pronamespace = n.oid AND p.proname = ANY ($1::text[])) AS functions,
            (SELECT array_agg(c.oid::regclass::text) FROM pg_class c
              WHERE c.relnamespace = n.oid AND c.relname = ANY ($2::text[])) AS tables
       FROM pg_namespace n WHERE n.nspname = current_schema()`,
    [rights[purpose].functions, rights[purpose].tables],
  );
  const { schema = "", functions = [], tables = [] } = rows[0] ?? {};
  for (const kind of ["TABLES", "SEQUENCES", "FUNCTIONS"]) {
    await client.query(`REVOKE ALL ON ALL ${kind} IN SCHEMA ${schema} FROM ${to}`);
  }
  await client.query(`REVOKE CREATE ON SCHEMA ${schema} FROM ${to}`);
  await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${to}`);
  await client.query(`GRANT SELECT ON ${tables.join(", ")} TO ${to}`);
  await client.query(`GRANT EXECUTE ON FUNCTION ${functions.join(", ")} TO ${to}`);
  if (purpose === "server") return;
  // Now, because two transactions that are the first to ask would wait for each other's end.
  await client.query("SELECT actor_of('role', $1), actor_of('client', $1)", [role]);
}

/** Who keeps the guards, in words for the banner. */
export async function guardsOf(url: string): Promise<string> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<{ role: string }>("SELECT current_user::text AS role");
    const { role = "" } = rows[0] ?? {};
    const bypass = await bypassOf(client, role);
    if (bypass === null) return `kept by the database; the role ${role} cannot go round them`;
    return `the role ${role} ${bypass}: \`balancectl migrate --grant ROLE\` makes one that cannot`;
  } catch (error) {
    throw translateError(error);
  } finally {
    await client.end();
  }
}

/** How a role could change a balance by hand; null when it cannot. */
async function bypassOf(client: pg.Client, role: string): Promise<string | null> {
  const { rows } = await client.query<{ bypass: string | null }>(
    `SELECT CASE
              WHEN r.rolsuper THEN 'is a superuser and could switch them off'
              WHEN pg_has_role(r.oid, c.relowner, 'MEMBER') THEN 'owns the tables and could switch them off'
              WHEN has_table_privilege(r.oid, t.name, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
                THEN 'may write to ' || t.name || ' by hand'
              WHEN has_schema_privilege(r.oid, n.oid, 'CREATE') THEN 'may make functions beside ours'
            END AS bypass
       FROM pg_roles r
      CROSS JOIN unnest('{users,entries,holds,idempotency_keys,tokens,access_state,audit}'::text[]) AS t (name)
       JOIN pg_namespace n ON n.nspname = current_schema()
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
      WHERE r.rolname = $1
      ORDER BY bypass NULLS LAST LIMIT 1`,
    [role],
  );
  return rows[0]?.bypass ?? null;
}

/**
 * Whoever may make functions in our schema can make one that fits a call of ours better than PostgreSQL's own, and it
 * runs with the rights of the tables' owner.
 */
async function refuseOpenSchema(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ schema: string; grantees: string }>(
    `SELECT quote_ident(n.nspname) AS schema,
            string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END, ', ') AS grantees
       FROM pg_namespace n
      CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
       LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE n.nspname = current_schema() AND a.privilege_type = 'CREATE'
        AND a.grantee <> n.nspowner AND coalesce(NOT r.rolsuper, true)
        AND a.grantee <> (SELECT relowner FROM pg_class WHERE oid = 'users'::regclass)
      GROUP BY n.nspname`,
  );
  const [open] = rows;
  if (open === undefined) return;
  throw new BalancectlError(
    "INVALID_REQUEST",
    `Others may make functions in the schema ${open.schema}, and could make some that ours would call: ` +
      `REVOKE CREATE ON SCHEMA ${open.schema} FROM ${open.grantees}; or use a schema of its own (BALANCECTL_SCHEMA)`,
  );
}
