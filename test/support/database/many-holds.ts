import { psql } from "./database.ts";

/**
 * Opens a user with `count` holds of `amount` each, as many operations would have, but at once. They were
 * made two hours ago; those before `due` were due an hour ago, the others never are.
 */
export async function openWithHolds(
  url: string,
  {
    id,
    count,
    amount = 1,
    due = count,
  }: { id: number; count: number; amount?: number; due?: number },
): Promise<void> {
  await psql(
    url,
    `WITH made AS (
       SELECT n, md5(${id} || '/' || n)::uuid AS hold FROM generate_series(1, ${count}) AS n
     ), holds_made AS (
       INSERT INTO holds (user_id, id, amount, expires_at, created_at)
       SELECT ${id}, hold, ${amount},
              CASE WHEN n <= ${due} THEN date_trunc('milliseconds', now()) - interval '1 hour' END,
              date_trunc('milliseconds', now()) - interval '2 hours' FROM made
     ), entries_made AS (
       INSERT INTO entries (user_id, version, amount, balance, created_at, kind, operation_id)
       SELECT ${id}, n + 1, -${amount}, (${count} - n) * ${amount},
              date_trunc('milliseconds', now()) - interval '2 hours', 'hold', hold FROM made
       UNION ALL
       SELECT ${id}, 1, ${count * amount}, ${count * amount},
              date_trunc('milliseconds', now()) - interval '2 hours', 'opening', NULL
     )
     INSERT INTO users (id, balance, held, version, next_expiry_at, created_at, updated_at)
     SELECT ${id}, 0, ${count * amount}, ${count} + 1, ${due === 0 ? "NULL" : "date_trunc('milliseconds', now()) - interval '1 hour'"},
            date_trunc('milliseconds', now()) - interval '2 hours',
            date_trunc('milliseconds', now()) - interval '2 hours'`,
  );
}
