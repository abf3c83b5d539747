/** Users who ask for no id, where ids were chosen by hand before the sequence came to them. */
import { expect, test } from "vitest";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { CommittedBatch } from "../../src/ledger/observer.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { journalFindings } from "../support/oracle/journal.ts";

async function open(ledger: Ledger): Promise<number> {
  return (await ledger.openUser({ balance: 1 })).createdUserId as number;
}

async function withUsers(ids: string) {
  const url = await createTestDatabase();
  await psql(url, `INSERT INTO users (id) SELECT * FROM ${ids}`);
  return { url, ...openTestLedger(url) };
}

test("10,000 ids ahead are stepped over at once", async () => {
  const { url } = await withUsers("generate_series(3, 10002)");
  const refusals: number[] = [];
  const observers = [
    { batchCommitted: ({ refusals: all }: CommittedBatch) => refusals.push(all.size) },
  ];
  const { ledger } = openTestLedger(url, { observers });
  expect(await open(ledger)).toBe(2);
  expect(await open(ledger)).toBe(10_003);
  // One attempt for 2; one that finds 3 taken, and the next is past them all.
  expect(refusals).toEqual([0, 1, 0]);
  expect([await open(ledger), await open(ledger)]).toEqual([10_004, 10_005]);
  expect(await journalFindings(url)).toEqual([]);
});

test("the largest id, chosen by hand, ends nothing", async () => {
  const { ledger } = await withUsers("unnest('{2,4,5,9007199254740991}'::bigint[])");
  expect([await open(ledger), await open(ledger), await open(ledger)]).toEqual([3, 6, 7]);
});

test("500 who ask at once, in two processes, share the step: each has an id of its own", async () => {
  const { url, ledger } = await withUsers("generate_series(2, 10001)");
  const { ledger: other } = openTestLedger(url);
  const opened = Array.from({ length: 500 }, (_, n) => open(n % 2 === 0 ? ledger : other));
  const ids = new Set(await Promise.all(opened));
  expect(ids.size).toBe(500);
  expect(Math.min(...ids)).toBe(10_002);
  // A number or two a request may be lost; no second step of thousands is made.
  expect(Math.max(...ids)).toBeLessThanOrEqual(10_001 + 1_000);
  expect(await journalFindings(url)).toEqual([]);
});

test("where others take each next id, somebody gives up, and says so", async () => {
  const { url, ledger } = await withUsers("generate_series(2, 3)");
  await psql(url, "ALTER SEQUENCE users_id_seq MAXVALUE 3 CYCLE");
  await expect(open(ledger)).rejects.toMatchObject({
    code: "USER_EXISTS",
    message: expect.stringMatching(/^The 10 ids that came next were all taken/),
  });
});

test("where all ids have been given, the error says so", async () => {
  const { url, ledger } = await withUsers("unnest('{9007199254740991}'::bigint[])");
  await psql(url, "SELECT setval('users_id_seq', 9007199254740990)");
  await expect(open(ledger)).rejects.toMatchObject({
    code: "USER_EXISTS",
    message: expect.stringMatching(/^All ids up to 9007199254740991 have been given/),
  });
});
