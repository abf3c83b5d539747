/** Idempotency keys inside the database function: what is kept, for whom, and for how long. */
import pg from "pg";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { untilLockIsWaitedFor } from "../support/database/locked-user.ts";
import { openTables } from "../support/database/tables.ts";
import { journalFindings } from "../support/oracle/journal.ts";

const databaseUrl = await createTestDatabase();
const { fingerprint } = await openTables(databaseUrl);
const { apply, applyFully } = await openFunction(databaseUrl);

let lastId = 1_000;
let lastUuid = 0;
const newId = () => ++lastId;
const newUuid = () => uuid(++lastUuid);

async function open(...balances: number[]): Promise<number[]> {
  const steps = balances.map((amount): Step => ({ user: newId(), kind: "opening", amount }));
  await apply(steps);
  return steps.map(({ user }) => user);
}

async function keysOf(user: number): Promise<string[]> {
  const found = await psql(
    databaseUrl,
    "SELECT key FROM idempotency_keys WHERE user_id = $1 ORDER BY key",
    [user],
  );
  return found.map(({ key }) => key as string);
}

beforeEach(() => {
  onTestFinished(async () => {
    expect(await journalFindings(databaseUrl)).toEqual([]);
  });
});

describe("the same key and the same request: the first answer again, and nothing is done", () => {
  /** Applied twice, with everything about the user changed in between. */
  async function twice(user: number, step: Step, again: Step = step) {
    const [first] = await applyFully([{ ...step, key: "k" }], { now: "2040-01-01T00:00:00Z" });
    await apply([{ user, amount: 1_000 }], { now: "2040-01-01T00:01:00Z" });
    const before = await fingerprint();
    const [second] = await applyFully([{ ...again, key: "k" }], { now: "2040-01-01T00:02:00Z" });
    expect(await fingerprint()).toEqual(before);
    return { first, second };
  }
  const timeMs = Date.parse("2040-01-01T00:00:00Z");
  const replayed = { refusedLeg: null, createdUserId: null, replay: true, timeMs, hold: null };

  test("an adjustment", async () => {
    const [user = 0] = await open(10);
    const { first, second } = await twice(user, { user, amount: -4 });
    expect(first).toMatchObject({ refusal: null, balance: 6, version: 2, replay: null });
    expect(second).toEqual({
      ...replayed,
      ...{ refusal: null, balance: 6, version: 2, amount: -4, operationId: null },
    });
  });

  test("a refusal, also when there is money by now", async () => {
    const [user = 0] = await open(10);
    const { second } = await twice(user, { user, amount: -11 });
    expect(second).toEqual({
      ...replayed,
      ...{ refusal: "INSUFFICIENT_FUNDS", balance: 10, version: 1, amount: -11, operationId: null },
    });
  });

  test("a transfer, under the id that it was given the first time", async () => {
    const [user = 0, to = 0] = await open(10, 0);
    const [id, other] = [newUuid(), newUuid()];
    const step = { user, to, kind: "transfer", amount: 3 } as const;
    const { second } = await twice(user, { ...step, id }, { ...step, id: other });
    expect(second).toEqual({
      ...replayed,
      ...{ refusal: null, balance: 7, version: 2, amount: 3, operationId: id },
    });
    // The key is the payer's: the recipient may use it for itself.
    expect([await keysOf(user), await keysOf(to)]).toEqual([["k"], []]);
  });

  test("a hold, a capture and a void", async () => {
    const [user = 0] = await open(10);
    const [id, other] = [newUuid(), newUuid()];
    const hold = { user, kind: "hold", amount: 4, lifetime: 86_400 } as const;
    const { second } = await twice(user, { ...hold, id }, { ...hold, id: other });
    expect(second).toEqual({
      ...replayed,
      ...{ refusal: null, balance: 6, version: 2, amount: 4, operationId: id },
    });
    const capture = { user, kind: "capture", amount: 3, id, key: "c" } as const;
    const [captured] = await applyFully([capture]);
    const [again] = await applyFully([capture]);
    expect(
      [captured, again].map((one) => [one?.refusal, one?.balance, one?.amount, one?.replay]),
    ).toEqual([
      [null, 1_007, 4, null],
      [null, 1_007, 4, true],
    ]);
    // Refused as closed now and for good, and under a key of its own.
    const voided = { user, kind: "void", id, key: "v" } as const;
    const closed = await Promise.all([1, 2].map(() => apply([voided])));
    expect(closed.flat().map(({ refusal }) => refusal)).toEqual(["HOLD_CLOSED", "HOLD_CLOSED"]);
  });

  test("an opening, whose keys belong to nobody yet", async () => {
    const [user, other] = [newId(), newId()];
    const key = "opening";
    await applyFully([{ user, kind: "opening", amount: 5, key }]);
    await apply([{ user, amount: 5 }]);
    const [again] = await applyFully([{ user: other, kind: "opening", amount: 5, key }]);
    expect(again).toMatchObject({ refusal: null, balance: 5, version: 1, createdUserId: user });
    expect(await psql(databaseUrl, "SELECT 1 FROM users WHERE id = $1", [other])).toEqual([]);
    // By its own hash: the first four bytes of SHA-256("opening"), as a number, modulo 2^31.
    expect(await keysOf(-1 - (0x2b3fdf05 % 2 ** 31))).toEqual([key]);
  });

  test("a group that was applied, and one that was refused", async () => {
    const [user = 0, to = 0] = await open(10, 0);
    const group = (amounts: number[], key: string): Step[] =>
      amounts.map((amount, index) => {
        const step = { user, to, kind: "transfer", amount, id: newUuid(), group: 1 } as const;
        return index === 0 ? { ...step, key } : step;
      });
    const [applied] = await applyFully(group([1, 2], "good"));
    const [refused] = await applyFully(group([1, 2, 5], "bad"));
    await apply([{ user, amount: 100 }]);
    const before = await fingerprint();
    const [goodAgain] = await applyFully(group([1, 2], "good"));
    const [badAgain] = await applyFully(group([1, 2, 5], "bad"));
    expect(await fingerprint()).toEqual(before);
    expect([applied?.refusal, applied?.refusedLeg]).toEqual([null, null]);
    expect(goodAgain).toMatchObject({ refusal: null, balance: 7, version: 3, replay: true });
    expect([refused?.refusal, refused?.refusedLeg]).toEqual(["INSUFFICIENT_FUNDS", 3]);
    expect(badAgain).toMatchObject({ refusal: "INSUFFICIENT_FUNDS", refusedLeg: 3, replay: true });
  });
});

test("the same key for another request is refused, and stays what it was", async () => {
  const [user = 0] = await open(10);
  await apply([{ user, amount: -1, key: "k", fingerprint: "one" }]);
  const before = await fingerprint();
  const [other] = await applyFully([{ user, amount: -2, key: "k", fingerprint: "two" }]);
  expect(other).toMatchObject({ refusal: "IDEMPOTENCY_KEY_REUSED", replay: null });
  expect(await fingerprint()).toEqual(before);
});

test("a twin that waited for the first one's lock sees what it has stored", async () => {
  const [user = 0] = await open(10);
  const twin: Step = { user, amount: -4, key: "twin" };
  const first = await openFunction(databaseUrl);
  const second = await openFunction(databaseUrl);
  await first.client.query("BEGIN");
  expect(await first.apply([twin])).toEqual([{ refusal: null, balance: 6, version: 2 }]);
  await second.client.query("SET application_name = 'balancectl'");
  const waiting = second.applyFully([twin]);
  await untilLockIsWaitedFor(databaseUrl);
  await first.client.query("COMMIT");
  expect(await waiting).toMatchObject([{ refusal: null, balance: 6, version: 2, replay: true }]);
});

test("a key is its user's own, and a replay leaves its neighbours alone", async () => {
  const [a = 0, b = 0] = await open(10, 10);
  await apply([
    { user: a, amount: -1, key: "k", fingerprint: "a" },
    { user: b, amount: -2, key: "k", fingerprint: "b" },
  ]);
  const decided = await applyFully([
    { user: a, amount: 5 },
    { user: a, amount: -1, key: "k", fingerprint: "a" },
    { user: b, amount: -1, key: "k", fingerprint: "a" },
    { user: b, amount: -8 },
    { user: a, amount: -14 },
  ]);
  expect(decided.map(({ refusal, balance, replay }) => [refusal, balance, replay])).toEqual([
    [null, 14, null],
    [null, 9, true],
    ["IDEMPOTENCY_KEY_REUSED", null, null],
    [null, 0, null],
    [null, 0, null],
  ]);
});

test("what is not there, or already there, is not kept: the key stays free", async () => {
  const [a = 0] = await open(10);
  const none = newId();
  const key = "k";
  const decided = await apply([
    { user: none, amount: 1, key },
    { user: a, to: none, kind: "transfer", amount: 1, id: newUuid(), key: "t" },
    { user: a, kind: "capture", id: newUuid(), key: "c" },
    { user: a, kind: "void", id: newUuid(), key: "v" },
    { user: a, kind: "opening", amount: 0, key: "taken" },
  ]);
  expect(decided.map(({ refusal }) => refusal)).toEqual([
    ...["USER_NOT_FOUND", "RECIPIENT_NOT_FOUND", "HOLD_NOT_FOUND", "HOLD_NOT_FOUND", "USER_EXISTS"],
  ]);
  expect([await keysOf(a), await keysOf(none)]).toEqual([[], []]);
  expect(await psql(databaseUrl, "SELECT FROM idempotency_keys WHERE key = 'taken'")).toEqual([]);
  const [later] = await apply([
    { user: none, kind: "opening", amount: 3 },
    { user: none, amount: 1, key },
  ]);
  expect(later).toEqual({ refusal: null, balance: 3, version: 1 });
  expect(await keysOf(none)).toEqual([key]);
});

test("one key twice in one batch is no batch: the table refuses it whole", async () => {
  const [user = 0] = await open(10);
  const before = await fingerprint();
  const both = apply([
    { user, amount: 1, key: "k" },
    { user, amount: 1, key: "k" },
  ]);
  await expect(both).rejects.toMatchObject({ code: "23505", constraint: "idempotency_keys_pkey" });
  expect(await fingerprint()).toEqual(before);
});

describe("keys past their lifetime go, twice as many as come", () => {
  const hour = 3_600_000;
  const start = Date.parse("2041-01-01T00:00:00Z");
  const at = (hours: number) => new Date(start + hours * hour);
  const settings = (hours: number) => ({ now: at(hours), keyLifetimeSeconds: 10 * 3_600 });

  /** A user with the keys k0, k1, ... of one hour each, and nobody else with any. */
  async function withKeys(count: number): Promise<number> {
    await psql(databaseUrl, "DELETE FROM idempotency_keys");
    const [user = 0] = await open(100);
    for (let index = 0; index < count; index++) {
      await apply([{ user, amount: 1, key: `k${index}` }], settings(index));
    }
    return user;
  }

  test("the oldest first, and only those that are past it", async () => {
    const user = await withKeys(9);
    // At 15:00 the keys of 0:00 to 4:00 are past their ten hours; the one of 5:00 just not.
    await apply([{ user, amount: 1, key: "new" }], settings(15));
    expect(await keysOf(user)).toEqual(["k2", "k3", "k4", "k5", "k6", "k7", "k8", "new"]);
    await apply([{ user, amount: 1 }], settings(15));
    await apply([{ user, amount: 1, reference: "long way" }], settings(15));
    expect(await keysOf(user)).toEqual(["k2", "k3", "k4", "k5", "k6", "k7", "k8", "new"]);
    // Three operations, one of them with a key: up to six, but only three are old enough.
    const three = [
      { user, amount: 1, key: "last" },
      { user, amount: 1 },
      { user, amount: 1 },
    ];
    await apply(three, settings(15));
    expect(await keysOf(user)).toEqual(["k5", "k6", "k7", "k8", "last", "new"]);
  });

  test("a key that is old but still there still answers", async () => {
    const user = await withKeys(4);
    const [again] = await applyFully([{ user, amount: 1, key: "k3" }], settings(1_000));
    expect(again).toMatchObject({ refusal: null, balance: 104, version: 5, replay: true });
    expect(await keysOf(user)).toEqual(["k2", "k3"]);
  });

  test("one that another session holds is passed by, without waiting for it", async () => {
    const user = await withKeys(4);
    const other = new pg.Client(databaseUrl);
    await other.connect();
    onTestFinished(() => other.end());
    await other.query("BEGIN");
    await other.query("SELECT FROM idempotency_keys WHERE key = 'k0' FOR UPDATE");
    await apply([{ user, amount: 1, key: "new" }], settings(1_000));
    expect(await keysOf(user)).toEqual(["k0", "k3", "new"]);
  });
});
