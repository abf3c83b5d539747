/** What the tables hold, as lines of the history. */
import type { AccountLine, EntryLine, HoldLine, KeyLine, Line } from "./history/history.ts";
import { query } from "./stage/connection.ts";

export async function dumpTables(databaseUrl: string): Promise<Line[]> {
  const entries = await query<Omit<EntryLine, "type">>(
    databaseUrl,
    `SELECT user_id::float8 AS user, version::float8, amount::float8, balance::float8, kind,
            operation_id AS operation, reference
       FROM entries ORDER BY user_id, version`,
  );
  const accounts = await query<Omit<AccountLine, "type">>(
    databaseUrl,
    `SELECT id::float8 AS user, balance::float8, held::float8, version::float8
       FROM users ORDER BY id`,
  );
  const holds = await query<Omit<HoldLine, "type">>(
    databaseUrl,
    `SELECT user_id::float8 AS user, id, amount::float8, state, captured::float8
       FROM holds ORDER BY user_id, id`,
  );
  const keys = await query<Omit<KeyLine, "type">>(
    databaseUrl,
    `SELECT user_id::float8 AS user, key, refusal, balance::float8, version::float8
       FROM idempotency_keys ORDER BY user_id, key`,
  );
  return [
    ...entries.map((row) => ({ type: "entry", ...row }) as const),
    ...accounts.map((row) => ({ type: "account", ...row }) as const),
    ...holds.map((row) => ({ type: "hold", ...row }) as const),
    ...keys.map((row) => ({ type: "key", ...row }) as const),
  ];
}
