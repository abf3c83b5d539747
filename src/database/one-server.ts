import { QueryTypes } from "sequelize";
import { BalancectlError } from "../errors.ts";
import type { Database } from "./connection.ts";
import { asReadFailure, translateError } from "./translate-error.ts";

/** Of a running server and a database in it, and of no other; any role may ask. */
const identity = `
  SELECT concat_ws(' ', current_database(), 'of the PostgreSQL at',
                   coalesce(host(inet_server_addr()), 'a socket') || ':' || current_setting('port'),
                   'started', pg_postmaster_start_time()) AS identity`;

/**
 * Changes go one way and reads another: a name that leads to several servers, a balancer, would answer
 * with balances that never were.
 * @throws BalancectlError CONFIG_INVALID when they meet different databases, DATABASE_UNAVAILABLE
 */
export async function requireOneServer({ sequelize, writer }: Database): Promise<void> {
  const changes = await writer(0)
    .query({ name: "identity", text: identity }, [])
    .catch((error) => {
      throw asReadFailure(error);
    });
  let reads: string | undefined;
  try {
    const [row] = await sequelize.query<{ identity: string }>(identity, {
      type: QueryTypes.SELECT,
    });
    reads = row?.identity;
  } catch (error) {
    throw translateError(error);
  }
  if (reads === changes) return;
  throw new BalancectlError(
    "CONFIG_INVALID",
    `DATABASE_URL leads to two databases: changes would go to ${changes}, and reads to ${reads}. ` +
      "Name the one server that writes",
  );
}
