/** Answers that are lost on their way: looked for by their receipt, and found, or known never to come. */

import pg from "pg";
import { expect, test } from "vitest";
import { openReceipts, resolveReceipt } from "../../src/database/receipts.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { adjustment, hold, transfer, transferBatch } from "../../src/ledger/request.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { lockUser, untilLockIsWaitedFor } from "../support/database/locked-user.ts";
import { startTcpProxy, type TcpProxy } from "../support/database/tcp-proxy.ts";
import { journalFindings } from "../support/oracle/journal.ts";

interface Setting {
  readonly url: string;
  readonly proxy: TcpProxy;
  readonly ledger: Ledger;
}

/** A ledger behind a proxy, with one lane, whose connection is there and its statements prepared. */
async function setUp(options: Parameters<typeof openTestLedger>[1] = {}): Promise<Setting> {
  const url = await createTestDatabase();
  const proxy = await startTcpProxy(url);
  const { ledger } = openTestLedger(proxy.url, { lanes: 1, ...options });
  await ledger.openUser({ id: 2, balance: 1_000 });
  await ledger.apply(adjustment(1, -1));
  return { url, proxy, ledger };
}

async function entriesOf(url: string, userId: number): Promise<number[]> {
  const rows = await psql<{ amount: string }>(
    url,
    "SELECT amount FROM entries WHERE user_id = $1 AND version > 1 ORDER BY version",
    [userId],
  );
  return rows.map(({ amount }) => Number(amount));
}

const to2 = { from: 1, to: 2, amount: 30 };

test.each([
  ["an adjustment that travels alone", (ledger: Ledger) => ledger.apply(adjustment(1, -2))],
  ["one with a key", (ledger: Ledger) => ledger.apply(adjustment(1, -2, { idempotencyKey: "k" }))],
  ["a transfer", (ledger: Ledger) => ledger.apply(transfer(to2))],
  ["transfers together", (ledger: Ledger) => ledger.apply(transferBatch([to2, to2]))],
  ["a hold", (ledger: Ledger) => ledger.apply(hold(1, 5, 60))],
  ["the opening of a user", (ledger: Ledger) => ledger.openUser({ id: 3, balance: 7 })],
  ["a refusal", (ledger: Ledger) => ledger.apply(adjustment(1, -10_000, { reference: "r" }))],
])("%s: the answer that was lost is the answer", async (_what, change) => {
  const { url, proxy, ledger } = await setUp();
  const lost = proxy.loseNextAnswer();
  const found = await change(ledger);
  await lost;
  // The same again, to compare.
  const { ledger: beside, url: other } = await setUp();
  const usual = await change(beside);
  const { decidedAtMs, operationId, hold: made } = found;
  const ids = { operationId, decidedAtMs, hold: made };
  expect(found).toEqual({ ...usual, ...ids });
  expect(found.replayed).toBe(false);
  expect(await entriesOf(url, 1)).toEqual(await entriesOf(other, 1));
  expect(await journalFindings(url)).toEqual([]);
});

test("a batch that never came is run again, and is refused when it comes after all", async () => {
  const { url, proxy, ledger } = await setUp();
  const kept = proxy.keepNextQuestion();
  expect(await ledger.apply(adjustment(1, -2))).toMatchObject({ refusal: null, balance: 9_997 });
  // Its session is gone, so it meets nobody.
  const { deliver } = await kept;
  expect(await deliver()).toContain("57P01");
  expect(await entriesOf(url, 1)).toEqual([-1, -2]);
});

test("one that waits for a stranger's lock: its session is ended, and it runs again", async () => {
  const { url, proxy, ledger } = await setUp({ lockTimeoutMs: 60_000, statementTimeoutMs: 60_000 });
  const lock = await lockUser(url, 1);
  const answer = ledger.apply(adjustment(1, -2));
  const sessions =
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ 'lane'";
  // It has gone to a lane that waits, whose connection is there: one that is being made would say so.
  while ((await psql(url, sessions)).length < 2);
  await untilLockIsWaitedFor(url);
  const before = await psql(url, sessions);
  proxy.cut();
  while ((await psql(url, sessions)).some(({ pid }) => before.some((one) => one["pid"] === pid)));
  await lock.release();
  expect(await answer).toMatchObject({ refusal: null, balance: 9_997 });
  expect(await entriesOf(url, 1)).toEqual([-1, -2]);
});

test("two batches in flight, both lost: each has its own answer", async () => {
  const { url, proxy, ledger } = await setUp({ batchSizeMax: 1 });
  const lock = await lockUser(url, 2);
  const both = Promise.all([
    ledger.apply(transfer(to2)),
    ledger.apply(transfer({ ...to2, amount: 40 })),
  ]);
  await untilLockIsWaitedFor(url);
  proxy.cut();
  await lock.release();
  expect((await both).map(({ refusal }) => refusal)).toEqual([null, null]);
  expect((await entriesOf(url, 1)).sort()).toEqual([-1, -30, -40]);
  expect((await entriesOf(url, 2)).sort()).toEqual([30, 40]);
  expect(await journalFindings(url)).toEqual([]);
});

test("a database that does not come back in time: not known", async () => {
  const { url, proxy, ledger } = await setUp({ statementTimeoutMs: 300 });
  const kept = proxy.keepNextQuestion();
  const answer = ledger.apply(adjustment(1, -2));
  const { deliver } = await kept;
  await proxy.down();
  await expect(answer).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN", applied: "unknown" });
  // That is no more than the truth.
  await deliver();
  expect(await entriesOf(url, 1)).toEqual([-1, -2]);
});

test("receipts that were removed: the next batch opens others", async () => {
  const { url, ledger } = await setUp();
  await psql(url, "DELETE FROM batch_receipts");
  expect(await ledger.apply(adjustment(1, -2))).toMatchObject({ refusal: null, balance: 9_997 });
  expect(await entriesOf(url, 1)).toEqual([-1, -2]);
});

test("receipts that nobody has used for a day are removed by whoever connects next", async () => {
  const { url } = await setUp();
  const [kept] = await psql(url, "SELECT count(*)::int FROM batch_receipts");
  await psql(
    url,
    `INSERT INTO batch_receipts (used_at)
     SELECT now() - interval '25 hours' FROM generate_series(1, 1000)`,
  );
  await psql(url, "SELECT FROM open_receipts()");
  expect(await psql(url, "SELECT count(*)::int FROM batch_receipts")).toEqual([
    { count: (kept?.["count"] as number) + 2 },
  ]);
});

/** A lane's session and one that looks for its answer, each by hand. */
async function bySql() {
  const url = await createTestDatabase();
  const open = async () => {
    const client = new pg.Client(url);
    client.on("error", () => {});
    await client.connect();
    afterFile(() => client.end());
    return client;
  };
  const [lane, other] = [await open(), await open()];
  const receipts = await openReceipts(lane, 60_000);
  await other.query("SET lock_timeout = '50ms'");
  const write = ({ id, number }: { id: number; number: number }) =>
    lane.query("SELECT write_receipt($1, $2, apply_adjustment(1, -2, NULL))", [id, number]);
  // Under a name that is not the lane's, so that its session lives.
  const resolve = (receipt: ReturnType<typeof receipts.next>) =>
    resolveReceipt(other, { ...receipt, session: "nobody" });
  return { url, lane, receipts, write, resolve };
}

test("the fence: what was given up never commits, what comes next does", async () => {
  const { url, receipts, write, resolve } = await bySql();
  const [first, second, third] = [receipts.next(), receipts.next(), receipts.next()];
  expect(await resolve(first)).toBe(null);
  await expect(write(first)).rejects.toMatchObject({ code: "BC001" });
  expect(await entriesOf(url, 1)).toEqual([]);
  await write(second);
  await write(third);
  expect(await resolve(second)).toContain('"balances":[9998]');
  expect(await resolve(third)).toContain('"balances":[9996]');
  // Asked again: the same.
  expect(await resolve(first)).toBe(null);
  expect(await resolve(third)).toContain('"balances":[9996]');
});

test.each(["COMMIT", "ROLLBACK"])(
  "while the batch is at its end: nothing is known until its %s",
  async (end) => {
    const { url, lane, receipts, write, resolve } = await bySql();
    const receipt = receipts.next();
    await lane.query("BEGIN");
    await write(receipt);
    await expect(resolve(receipt)).rejects.toMatchObject({ code: "55P03" });
    await lane.query(end);
    const answer = await resolve(receipt);
    if (end === "COMMIT") expect(answer).toContain('"balances":[9998]');
    else expect(answer).toBe(null);
    expect(await entriesOf(url, 1)).toEqual(end === "COMMIT" ? [-2] : []);
  },
);

test("a batch that is at its end in silence is ended by whoever looks", async () => {
  const { url, lane, receipts, write } = await bySql();
  const receipt = receipts.next();
  await lane.query("BEGIN");
  await write(receipt);
  const other = new pg.Client(url);
  await other.connect();
  afterFile(() => other.end());
  // No lock timeout: the session holds the receipt, until it is ended.
  expect(await resolveReceipt(other, receipt)).toBe(null);
  expect(await entriesOf(url, 1)).toEqual([]);
});

test("a receipt that is gone says nothing", async () => {
  const { url, receipts, write, resolve } = await bySql();
  const receipt = receipts.next();
  await write(receipt);
  await psql(url, "DELETE FROM batch_receipts");
  expect(await resolve(receipt)).toBe(undefined);
});
