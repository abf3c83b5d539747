/** What a reverted migration takes with it, and when it must not. */
import type pg from "pg";
import { BalancectlError } from "../errors.ts";

/** The ledger as it is before it goes. */
export interface Holdings {
  readonly database: string;
  readonly users: number;
  readonly entries: number;
  /** Of all balances and what is held, in minor units; may be beyond 2^53 - 1. */
  readonly total: bigint;
}

const ledgerMigration = "0001-users-and-entries";
const holdsMigration = "0003-holds";

/**
 * The names that go, the latest first.
 * @param to down to and including this one; 0 for all; undefined for the latest alone
 * @throws BalancectlError INVALID_REQUEST for a name that is not applied
 */
export function namesToRevert(applied: readonly string[], to?: string | 0): string[] {
  if (to === undefined) return applied.slice(-1);
  const first = to === 0 ? 0 : applied.indexOf(to);
  if (first >= 0) return applied.slice(first).reverse();
  throw new BalancectlError(
    "INVALID_REQUEST",
    `${to} is not an applied migration; applied are: ${applied.join(", ") || "none"}`,
  );
}

export async function holdingsOf(client: pg.Client, applied: readonly string[]): Promise<Holdings> {
  const ledger = applied.includes(ledgerMigration)
    ? // A user's version counts its entries: nobody waits for a journal to be counted.
      `SELECT count(*) AS users, coalesce(sum(version), 0) AS entries,
              coalesce(sum(balance::numeric + held), 0) AS total
         FROM users`
    : "SELECT 0 AS users, 0 AS entries, 0 AS total";
  const { rows } = await client.query<Record<"database" | "users" | "entries" | "total", string>>(
    `SELECT current_database() AS database, * FROM (${ledger}) l`,
  );
  const { database = "", users = 0, entries = 0, total = 0 } = rows[0] ?? {};
  return { database, users: Number(users), entries: Number(entries), total: BigInt(total) };
}

/**
 * What is held is known by the holds alone: without them it could never be taken or given back.
 * @throws BalancectlError MIGRATION_FAILED while holds are open that the names would take away
 */
export async function refuseOpenHolds(client: pg.Client, names: readonly string[]): Promise<void> {
  if (!names.includes(holdsMigration)) return;
  const { rows } = await client.query<{ holds: string; total: string; first: string }>(
    `SELECT count(*) AS holds, sum(amount) AS total, min(user_id) AS first
       FROM holds WHERE state = 'open' HAVING count(*) > 0`,
  );
  const [open] = rows;
  if (open === undefined) return;
  const { holds, total, first } = open;
  throw new BalancectlError(
    "MIGRATION_FAILED",
    `${holdsMigration} cannot be reverted: open holds keep ${total} (${holds} of them), which would ` +
      `stay held for ever. Capture or void them first (\`balancectl holds ${first}\` shows the first ` +
      "user's, and ends those past their time); nothing was reverted",
  );
}
