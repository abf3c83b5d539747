/** What the database itself says about balances and journal, asked past the program. */
import { psql } from "../database/database.ts";

/** Everything about the journal that does not add up; an empty list is a sound one. */
export async function journalFindings(url: string): Promise<string[]> {
  const rows = await psql<{ finding: string }>(
    url,
    `WITH chain AS (
       SELECT e.*,
              lag(e.version, 1, 0::bigint) OVER w AS version_before,
              lag(e.balance, 1, 0::bigint) OVER w AS balance_before,
              lag(e.created_at) OVER w AS time_before
         FROM entries e
       WINDOW w AS (PARTITION BY e.user_id ORDER BY e.version)
     ), totals AS (
       SELECT user_id, count(*) AS entries, sum(amount) AS sum, max(version) AS version
         FROM entries
        GROUP BY user_id
     )
     SELECT format('user %s, version %s: gap after %s', user_id, version, version_before) AS finding
       FROM chain WHERE version <> version_before + 1
     UNION ALL
     SELECT format('user %s, version %s: %s + %s <> %s',
                   user_id, version, balance_before, amount, balance)
       FROM chain WHERE balance <> balance_before + amount
     UNION ALL
     SELECT format('user %s, version %s: earlier than the entry before it', user_id, version)
       FROM chain WHERE created_at < time_before
     UNION ALL
     SELECT format('user %s: balance %s, sum of entries %s, version %s, entries %s',
                   u.id, u.balance, coalesce(t.sum, 0), u.version, coalesce(t.entries, 0))
       FROM users u LEFT JOIN totals t ON t.user_id = u.id
      WHERE u.balance <> coalesce(t.sum, 0)
         OR u.version <> coalesce(t.entries, 0)
         OR u.version <> coalesce(t.version, 0)
     UNION ALL
     SELECT format('user %s has entries and does not exist', t.user_id)
       FROM totals t LEFT JOIN users u ON u.id = t.user_id
      WHERE u.id IS NULL`,
  );
  return rows.map(({ finding }) => finding);
}

export interface Account {
  readonly balance: number;
  /** Number of journal entries, the opening one included. */
  readonly entries: number;
}

/** A user's balance and number of entries, as the tables have them. */
export async function account(url: string, userId = 1): Promise<Account | null> {
  const [row] = await psql<{ balance: string; entries: string }>(
    url,
    `SELECT u.balance, (SELECT count(*) FROM entries e WHERE e.user_id = u.id) AS entries
       FROM users u
      WHERE u.id = $1`,
    [userId],
  );
  return row ? { balance: Number(row.balance), entries: Number(row.entries) } : null;
}

/**
 * Every row of every table, but for receipts, which are of answers, with the transaction that wrote it: two snapshots are equal only if
 * nothing was written in between, not even the same values again.
 */
export async function snapshot(url: string): Promise<Record<string, string[]>> {
  const tables = await psql<{ name: string }>(
    url,
    `SELECT quote_ident(relname) AS name
       FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname <> 'batch_receipts'
      ORDER BY relname`,
  );
  const rows: Record<string, string[]> = {};
  for (const { name } of tables) {
    const found = await psql<{ row: string }>(
      url,
      `SELECT t.xmin || ' ' || to_jsonb(t) AS row FROM ${name} t ORDER BY 1`,
    );
    rows[name] = found.map(({ row }) => row);
  }
  return rows;
}
