/** What is worth saying of a database when a server starts on it, though it can be worked with. */
import type { HostClient } from "./host-client.ts";
import { connect } from "./migration-connection.ts";
import { translateError } from "./translate-error.ts";

/** Sentences for people. @throws BalancectlError DATABASE_UNAVAILABLE */
export async function remarksOn(url: string): Promise<string[]> {
  const client = await connect(url);
  try {
    return [...(await aboutPooler(client)), ...(await aboutStandbys(client))];
  } catch (error) {
    throw translateError(error);
  } finally {
    await client.end();
  }
}

async function aboutPooler(client: HostClient): Promise<string[]> {
  if (!client.isLentByTransaction) return [];
  const { rows } = await client.query<{ role: string; name: string; value: string }>(
    `SELECT quote_ident(current_user) AS role, name, wanted.value
       FROM (VALUES ('lock_timeout', '10ms'), ('statement_timeout', '10s')) AS wanted (name, value)
      WHERE current_setting(name) = '0'`,
  );
  const missing = rows.map(({ name }) => name).join(" and ");
  const alter = rows.map(({ role, name, value }) => `ALTER ROLE ${role} SET ${name} = '${value}'`);
  const timeouts =
    rows.length === 0
      ? "lock_timeout and statement_timeout are the role's"
      : `Nobody sets ${missing}: ${alter.join("; ")}`;
  return [
    "DATABASE_URL leads through a pooler in transaction mode (PgBouncer): statements are parsed each time, and " +
      `\`migrate down\` does not know that this server runs. ${timeouts}`,
  ];
}

async function aboutStandbys(client: HostClient): Promise<string[]> {
  const { rows } = await client.query<{ standbys: number; names: string; commit: string }>(
    `SELECT (SELECT count(*)::int FROM pg_stat_replication) AS standbys,
            current_setting('synchronous_standby_names') AS names,
            current_setting('synchronous_commit') AS commit`,
  );
  const { standbys = 0, names = "", commit = "" } = rows[0] ?? {};
  if (standbys === 0 || (names !== "" && commit !== "local" && commit !== "off")) return [];
  const why =
    names === "" ? "synchronous_standby_names is empty" : `synchronous_commit is ${commit}`;
  return [
    `The database has a standby, but does not wait for one (${why}): a failover may lose changes that were answered. ` +
      "docs/high-availability.md says more",
  ];
}
