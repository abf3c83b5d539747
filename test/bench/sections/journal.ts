/** A long journal against an empty one: a change must cost the same however many came before it. */
import { type Bench, note } from "../bench.ts";
import { hot } from "../candidates.ts";
import { query } from "../database-server.ts";
import { interleave, stopSubjects, throughputRow } from "../interleave.ts";
import { firstUser, userCount } from "../population.ts";
import { startBalancectl } from "../servers.ts";
import { httpSubject, type Subject } from "../subject.ts";

export async function measureJournal(bench: Bench): Promise<void> {
  if (!bench.options.wanted("journal")) return;
  const entries = bench.options.journalEntries;
  const full = await bench.database.create(await bench.template());
  bench.say(`building a journal of ${entries.toLocaleString("en-US")} entries`);
  const startedAt = performance.now();
  await fillJournal(full, entries);
  const size = await journalSize(full);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  note(
    bench,
    `journal: ${entries.toLocaleString("en-US")} entries of ${userCount.toLocaleString("en-US")} ` +
      `users, ${size} with its indexes, built in ${seconds} s`,
  );
  const started = [
    httpSubject(
      bench,
      "journal-empty",
      "balancectl, hot user, empty journal",
      hot,
      await startBalancectl(bench),
    ),
    httpSubject(
      bench,
      "journal-full",
      `balancectl, hot user, ${entries.toLocaleString("en-US")} entries`,
      hot,
      await startBalancectl(bench, [], full),
    ),
  ];
  const subjects = (await Promise.all(started)).filter((one): one is Subject => one !== undefined);
  const results = await interleave(bench, subjects);
  for (const subject of subjects) {
    bench.results.rows.push(throughputRow(subject, results.get(subject.name) ?? []));
  }
  await stopSubjects(subjects);
}

/** Withdrawals of 1, as many of each user, with all that the guards of the schema ask for. */
async function fillJournal(url: string, entries: number): Promise<void> {
  const each = entries / userCount;
  await query(
    url,
    `SET synchronous_commit = off;
     ALTER TABLE entries DISABLE TRIGGER USER;
     ALTER TABLE users DISABLE TRIGGER USER;
     INSERT INTO entries (user_id, version, amount, balance, created_at, kind)
     SELECT u.id, u.version + n, -1, u.balance - n, u.updated_at + n * interval '1 microsecond',
            'adjustment'
       FROM (SELECT * FROM users WHERE id >= ${firstUser} ORDER BY id) u,
            generate_series(1, ${each}) n;
     UPDATE users
        SET balance = balance - ${each}, version = version + ${each},
            updated_at = updated_at + ${each} * interval '1 microsecond'
      WHERE id >= ${firstUser};
     ALTER TABLE entries ENABLE TRIGGER USER;
     ALTER TABLE users ENABLE TRIGGER USER;`,
  );
  // Or autovacuum would do it in the middle of a round.
  await query(url, "VACUUM (ANALYZE) entries");
  await query(url, "VACUUM (ANALYZE) users");
}

async function journalSize(url: string): Promise<string> {
  const [row] = await query<{ size: string }>(
    url,
    "SELECT pg_size_pretty(pg_total_relation_size('entries')) AS size",
  );
  return row?.size ?? "";
}
