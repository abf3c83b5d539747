/** Users with more holds than one batch gives back, or than anybody may have. */
import { expect, test } from "vitest";
import {
  adjustment,
  capture,
  hold,
  touch,
  transfer,
  transferBatch,
} from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { openWithHolds } from "../support/database/many-holds.ts";

const url = await createTestDatabase();
const { ledger } = openTestLedger(url);
let id = 10;

async function withHolds(count: number, more: { amount?: number; due?: number } = {}) {
  id += 1;
  await openWithHolds(url, { id, count, ...more });
  return id;
}

/** How many of the user's holds have been given back. */
async function givenBack(user: number): Promise<number> {
  const [row] = await psql<{ count: number }>(
    url,
    "SELECT count(*)::int FROM entries WHERE user_id = $1 AND kind = 'expiry'",
    [user],
  );
  return row?.count as number;
}

test("a batch gives back a thousand, and a read counts the rest", async () => {
  const user = await withHolds(2_500);
  expect(await ledger.user(user)).toMatchObject({ balance: 2_500, held: 0 });
  expect(await givenBack(user)).toBe(1_000);
  expect(await ledger.user(user)).toMatchObject({ balance: 2_500, held: 0 });
  expect(await givenBack(user)).toBe(2_000);
  await ledger.apply(touch(user));
  await ledger.apply(touch(user));
  expect(await givenBack(user)).toBe(2_500);
  expect(await psql(url, "SELECT balance, held FROM users WHERE id = $1", [user])).toEqual([
    { balance: "2500", held: "0" },
  ]);
});

test("a change that can be made with what has been given back waits for no more", async () => {
  const user = await withHolds(2_500);
  expect(await ledger.apply(adjustment(user, -1_000))).toMatchObject({ balance: 0 });
  expect(await givenBack(user)).toBe(1_000);
});

const spend: [string, (user: number) => Promise<unknown>][] = [
  ["a withdrawal", (user) => ledger.apply(adjustment(user, -2_400))],
  ["one under a key", (user) => ledger.apply(adjustment(user, -2_400, { idempotencyKey: "k" }))],
  ["a transfer", (user) => ledger.apply(transfer({ from: user, to: 1, amount: 2_400 }))],
  [
    "transfers together",
    (user) => {
      const half = { from: user, to: 1, amount: 1_200 };
      return ledger.apply(transferBatch([half, half]));
    },
  ],
  ["a hold", (user) => ledger.apply(hold(user, 2_400, undefined))],
];

test.each(spend)("%s of what is due is made, however much is due", async (_what, change) => {
  const user = await withHolds(2_500);
  expect(await change(user)).toMatchObject({ refusal: null });
  expect(await ledger.user(user)).toMatchObject({ balance: 100 });
  expect(await givenBack(user)).toBe(2_500);
});

test.each(spend)(
  "%s of more than that is refused, when all has been given back",
  async (_what, change) => {
    const user = await withHolds(2_300);
    expect(await change(user)).toMatchObject({ refusal: "INSUFFICIENT_FUNDS" });
    expect(await givenBack(user)).toBe(2_300);
  },
);

test("a hold that is due cannot be captured, though it has not been given back yet", async () => {
  const user = await withHolds(2_500);
  const [last] = await psql<{ id: string }>(
    url,
    "SELECT operation_id AS id FROM entries WHERE user_id = $1 ORDER BY version DESC LIMIT 1",
    [user],
  );
  const holdId = last?.id as string;
  expect(await ledger.apply(capture({ userId: user, holdId }))).toMatchObject({
    refusal: "HOLD_CLOSED",
    holdState: "expired",
  });
});

test("two of them in one batch share the thousand", async () => {
  const [first, second] = [await withHolds(2_500), await withHolds(2_500)];
  await ledger.apply(transfer({ from: first, to: second, amount: 1 }));
  expect([await givenBack(first), await givenBack(second)]).toEqual([500, 500]);
});

test("bystanders in one batch with it are answered by that batch", async () => {
  const user = await withHolds(2_500);
  const [first, ...others] = await Promise.all([
    ledger.apply(adjustment(user, -2_400)),
    ...Array.from({ length: 50 }, () => ledger.apply(adjustment(1, -1))),
  ]);
  expect(first).toMatchObject({ refusal: null, balance: 100 });
  expect(others.every(({ refusal }) => refusal === null)).toBe(true);
});

test("10,000 open holds are all that a user may have", async () => {
  const user = await withHolds(9_999, { amount: 2, due: 0 });
  await ledger.apply(adjustment(user, 100));
  const asked = [1, 2, 3].map((amount) => ledger.apply(hold(user, amount, undefined)));
  expect((await Promise.all(asked)).map(({ refusal }) => refusal)).toEqual([
    null,
    "HOLD_LIMIT_EXCEEDED",
    "HOLD_LIMIT_EXCEEDED",
  ]);
  const [open] = await psql<{ id: string }>(
    url,
    "SELECT id FROM holds WHERE user_id = $1 AND state = 'open' LIMIT 1",
    [user],
  );
  // One ends and another begins, in one batch.
  const ended = ledger.apply(capture({ userId: user, holdId: open?.id as string }));
  expect(
    (await Promise.all([ended, ledger.apply(hold(user, 1, 60))])).map((it) => it.refusal),
  ).toEqual([null, null]);
  expect(await ledger.apply(hold(user, 1, 60))).toMatchObject({ refusal: "HOLD_LIMIT_EXCEEDED" });
});

test("those that are due do not count", async () => {
  const user = await withHolds(10_000, { amount: 2, due: 1_500 });
  expect(await ledger.apply(hold(user, 1, undefined))).toMatchObject({ refusal: null });
});

test("and everything agrees", async () => {
  expect((await verify(url)).findings).toEqual([]);
});
