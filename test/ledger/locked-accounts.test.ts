/** Accounts that another session has locked: their operations wait, and nobody else's do. */
import { expect, test } from "vitest";
import type { Outcome } from "../../src/ledger/operation.ts";
import { adjustment, transfer, transferBatch } from "../../src/ledger/request.ts";
import { openFunction, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase, openTestLedger } from "../support/database/database.ts";
import { lockUser } from "../support/database/locked-user.ts";
import { journalFindings } from "../support/oracle/journal.ts";

const databaseUrl = await createTestDatabase();
const { apply, applyFully, client } = await openFunction(databaseUrl);
const users = Array.from({ length: 40 }, (_, index) => index + 101);
await apply(users.map((user) => ({ user, kind: "opening", amount: 100 })));

test.each([1, 3, 20])(
  "with %i locked, all others are answered while the lock lasts",
  async (count) => {
    const { ledger } = openTestLedger(databaseUrl, { lockTimeoutMs: 60_000 });
    const locked = users.slice(0, count);
    const held = await Promise.all(locked.map((user) => lockUser(databaseUrl, user)));
    let answered = 0;
    const waiting = locked.map(async (user) => {
      const outcome = await ledger.apply(adjustment(user, -1));
      answered += 1;
      return outcome.refusal;
    });
    // The same turn, so the same batch; then each by itself, and in transfers among them.
    const others = users.slice(count);
    const outcomes: Outcome[] = await Promise.all(
      others.map((user) => ledger.apply(adjustment(user, 1))),
    );
    for (const [index, from] of others.entries()) {
      const to = others[(index + 1) % others.length] as number;
      outcomes.push(await ledger.apply(transfer({ from, to, amount: 1 })));
    }
    expect(outcomes.map(({ refusal }) => refusal)).toEqual(outcomes.map(() => null));
    expect(answered).toBe(0);
    await Promise.all(held.map(({ release }) => release()));
    expect(await Promise.all(waiting)).toEqual(locked.map(() => null));
    expect(await journalFindings(databaseUrl)).toEqual([]);
  },
);

test("longer than the lock timeout: refused, with nothing changed, until the lock is gone", async () => {
  const { ledger } = openTestLedger(databaseUrl, { lockTimeoutMs: 100 });
  const [user = 0, other = 0] = users;
  const held = await lockUser(databaseUrl, user);
  const refused = {
    code: "ACCOUNT_LOCKED",
    message: "An account is locked by another session; nothing was changed, try again later",
  };
  const legs = [
    { from: other, to: users[2] as number, amount: 1 },
    { from: other, to: user, amount: 1 },
  ];
  await expect(ledger.apply(adjustment(user, -1))).rejects.toMatchObject(refused);
  await expect(ledger.apply(transferBatch(legs))).rejects.toMatchObject(refused);
  await held.release();
  const free = async () => (await ledger.apply(adjustment(user, -1))).refusal;
  await expect.poll(free, { timeout: 10_000 }).toBe(null);
  expect((await ledger.apply(transferBatch(legs))).refusal).toBe(null);
});

test("passed by in the function: whole groups, nothing kept under keys, and replays all the same", async () => {
  const [a = 0, b = 0, c = 0] = users;
  await apply([{ user: a, amount: 1, key: "before" }]);
  const held = await lockUser(databaseUrl, a);
  const leg = (user: number, to: number, id: number) => {
    return { user, to, kind: "transfer", amount: 1, id: uuid(id), group: 1 } as const;
  };
  const decided = await applyFully(
    [
      { user: a, amount: 1, key: "after" },
      { user: a, amount: 1, key: "before" },
      { ...leg(b, c, 1), key: "group" },
      leg(c, a, 2),
      { user: b, amount: 1 },
      { user: 999, amount: 1 },
    ],
    { lockWaitMs: 0 },
  );
  expect(decided.map(({ refusal, replay }) => [refusal, replay])).toEqual([
    ["ACCOUNT_LOCKED", null],
    [null, true],
    ["ACCOUNT_LOCKED", null],
    [null, null],
    [null, null],
    ["USER_NOT_FOUND", null],
  ]);
  const { rows } = await client.query(
    "SELECT key FROM idempotency_keys WHERE key IN ('after', 'group')",
  );
  expect(rows).toEqual([]);
  await held.release();
  expect(await journalFindings(databaseUrl)).toEqual([]);
});
