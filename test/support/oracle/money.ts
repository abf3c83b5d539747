/** Where all the money is, asked of the tables. */
import { psql } from "../database/database.ts";

export interface Money {
  readonly balances: number;
  readonly held: number;
  /** What captures took and paid to nobody in the ledger. */
  readonly capturedOutside: number;
}

export async function moneyOf(databaseUrl: string): Promise<Money> {
  const [row] = await psql<{ balances: string; held: string; outside: string }>(
    databaseUrl,
    `SELECT (SELECT sum(balance) FROM users) AS balances,
            (SELECT sum(held) FROM users) AS held,
            (SELECT coalesce(-sum(amount), 0) FROM entries WHERE kind = 'capture') AS outside`,
  );
  return {
    balances: Number(row?.balances),
    held: Number(row?.held),
    capturedOutside: Number(row?.outside),
  };
}
