/**
 * What a candidate has really done, read from where it keeps it, and held against the answers that
 * it gave: speed that is bought with answers that are not true shows up here.
 */
import { query } from "./database-server.ts";
import { amountTaken, type Work } from "./load/load.ts";
import { openingBalance } from "./population.ts";

export interface Books {
  /** Entries in the journal; without a journal, what the balance says must have happened. */
  readonly entries: number;
  /** Sums over the users that the load is about. */
  readonly journal: bigint;
  readonly balance: bigint;
}

export type Reader = () => Promise<Books>;

/** From the tables `users` and `entries`, which every candidate with a database has. */
export function tableReader(url: string, { first, count }: Work): Reader {
  const last = first + count - 1;
  return async () => {
    await quiet(url);
    const [row] = await query<{ entries: string; journal: string; balance: string }>(
      url,
      `SELECT count(*) AS entries, coalesce(sum(amount), 0) AS journal,
              (SELECT sum(balance) FROM users WHERE id BETWEEN ${first} AND ${last}) AS balance
         FROM entries WHERE user_id BETWEEN ${first} AND ${last}`,
    );
    if (!row) throw new Error("The books are empty");
    return {
      entries: Number(row.entries),
      journal: BigInt(row.journal),
      balance: BigInt(row.balance),
    };
  };
}

/** From the answer to GET, for a candidate that has nothing but a balance in memory. */
export function balanceReader(url: string, { first }: Work): Reader {
  return async () => {
    const response = await fetch(`${url}/api/users/${first}`);
    const { data } = (await response.json()) as { data: { balance: number } };
    const taken = openingBalance - data.balance;
    const balance = BigInt(data.balance);
    return { entries: taken / amountTaken, journal: balance, balance };
  };
}

/**
 * @param done how many changes were answered as made
 * @param unseenMax how many more may have been made, their answers unread when the load ended
 * @returns what does not add up, undefined when all does
 */
export function discrepancy(
  work: Work,
  before: Books,
  after: Books,
  done: number,
  unseenMax: number,
): string | undefined {
  const entriesEach = work.kind === "transfer" ? 2 : 1;
  const made = (after.entries - before.entries) / entriesEach;
  if (made < done || made > done + unseenMax || !Number.isInteger(made)) {
    return `${done} changes were answered and ${made} were made`;
  }
  const moved = work.kind === "transfer" ? 0n : BigInt(-amountTaken) * BigInt(made);
  if (after.journal - before.journal !== moved || after.balance - before.balance !== moved) {
    return (
      `${made} changes should move ${moved}; the journal moved ${after.journal - before.journal} ` +
      `and the balances ${after.balance - before.balance}`
    );
  }
  return undefined;
}

/** Waits for what is still being worked on for clients that have left. */
async function quiet(url: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (let calm = 0; calm < 2; ) {
    if (Date.now() > deadline) throw new Error("The database does not come to rest");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [row] = await query<{ busy: string }>(
      url,
      `SELECT count(*) AS busy FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend' AND state <> 'idle'`,
    );
    calm = row?.busy === "0" ? calm + 1 : 0;
  }
}
