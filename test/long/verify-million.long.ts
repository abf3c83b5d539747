/** `balancectl verify` on a million entries: how long, and how much memory. */
import { describe, expect, test } from "vitest";
import { psql } from "../support/database/database.ts";
import { createLargeJournal } from "../support/database/large-journal.ts";
import { tamper } from "../support/oracle/healthy-ledger.ts";
import { runWatched } from "../support/server/peak-memory.ts";

async function verifyWatched(url: string) {
  let text = "";
  const watched = await runWatched(url, ["verify", "--json"], (chunk) => {
    text += chunk;
  });
  const [row] = await psql(
    url,
    `SELECT pg_size_pretty(pg_database_size(current_database())) AS size
       FROM pg_stat_database WHERE datname = current_database()`,
  );
  return { ...watched, result: JSON.parse(text), size: row?.["size"] };
}

describe.each([
  ["one user with 1,000,000 entries", 1, 1_000_000],
  ["10,000 users with 100 entries each", 10_000, 100],
  ["1,000,000 users with one entry each", 1_000_000, 1],
])("%s", (what, users, entriesEach) => {
  test("is verified, and one changed amount in the middle is found", async () => {
    const url = await createLargeJournal(users, entriesEach);
    const good = await verifyWatched(url);
    expect([good.code, good.result]).toEqual([
      0,
      { ok: true, users: users + 1, entries: 1_000_001, findings: [] },
    ]);
    process.stdout.write(
      `verify, ${what} (${good.size}): ${good.seconds.toFixed(1)} s, peak memory ${good.peakMiB} MiB\n`,
    );
    expect(good.peakMiB).toBeLessThan(256);

    const userId = 1_000 + Math.floor(users / 2);
    const version = Math.ceil(entriesEach / 2);
    await tamper(
      url,
      `UPDATE entries SET amount = amount + 5 WHERE user_id = ${userId} AND version = ${version}`,
    );
    const bad = await verifyWatched(url);
    expect(bad.code).toBe(1);
    expect(bad.result.findings).toEqual([
      expect.objectContaining({ userId, version, check: "chain" }),
    ]);
  });
});
