/** Journals of a million entries, made in SQL past the guards: the program would take a minute. */

import { tamper } from "../oracle/healthy-ledger.ts";
import { createTestDatabase, psql } from "./database.ts";

/** Users from 1,000 on, each with as many entries, of which every other one takes 1 and one brings 2. */
export async function createLargeJournal(users: number, entriesEach: number): Promise<string> {
  const url = await createTestDatabase();
  await tamper(
    url,
    `INSERT INTO entries (user_id, version, amount, balance, kind, created_at, reference)
     SELECT u, v, amount, 1000 + v / 2 - CASE v % 2 WHEN 0 THEN 2 ELSE 0 END, kind,
            timestamptz '2024-01-01Z' + v * interval '1 second', reference
       FROM generate_series(1000, 999 + ${users}) AS u,
            LATERAL (SELECT v,
                            CASE WHEN v = 1 THEN 1000 WHEN v % 2 = 0 THEN -1 ELSE 2 END AS amount,
                            CASE WHEN v = 1 THEN 'opening' ELSE 'adjustment' END AS kind,
                            CASE WHEN v % 10 = 0 THEN 'order ' || v END AS reference
                       FROM generate_series(1, ${entriesEach}) AS v) AS e;
     INSERT INTO users (id, balance, version, created_at, updated_at)
     SELECT user_id, balance, version, timestamptz '2024-01-01Z', created_at
       FROM entries WHERE version = ${entriesEach} AND user_id >= 1000`,
  );
  await psql(url, "VACUUM ANALYZE");
  return url;
}
