/** The database function itself: order, all or none, limits and reasons, decided in one statement. */
import { describe, expect, onTestFinished, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { journalFindings } from "../support/oracle/journal.ts";

const databaseUrl = await createTestDatabase();
const { fingerprint } = await openTables(databaseUrl);
const { apply, applyFully } = await openFunction(databaseUrl);
const max = Number.MAX_SAFE_INTEGER;

let lastId = 1_000;
let lastUuid = 0;
const newId = () => ++lastId;
const newUuid = () => uuid(++lastUuid);

/** Opens a user for each balance and returns their ids. */
async function open(...balances: number[]): Promise<number[]> {
  const steps = balances.map((amount): Step => ({ user: newId(), kind: "opening", amount }));
  await apply(steps);
  return steps.map(({ user }) => user);
}

async function rows(...ids: number[]): Promise<number[][]> {
  const found = await psql(
    databaseUrl,
    "SELECT balance, held, version FROM users WHERE id = ANY ($1) ORDER BY id",
    [ids],
  );
  return found.map(({ balance, held, version }) => [balance, held, version].map(Number));
}

/** Ends each test: whatever was tried, the journal adds up. */
function expectSoundJournal(): void {
  onTestFinished(async () => {
    expect(await journalFindings(databaseUrl)).toEqual([]);
  });
}

const ok = (balance: number, version: number) => ({ refusal: null, balance, version });
const no = (refusal: string, balance: number | null, version: number | null) => {
  return { refusal, balance, version };
};

describe("a batch is decided in order, each operation against what the ones before it left", () => {
  test("a user is opened, funded and spent in one batch", async () => {
    expectSoundJournal();
    const user = newId();
    expect(
      await apply([
        { user, amount: 5 },
        { user, kind: "opening", amount: 10 },
        { user, kind: "opening", amount: 10 },
        { user, amount: -11 },
        { user, amount: -10 },
        { user, amount: 3 },
      ]),
    ).toEqual([
      no("USER_NOT_FOUND", null, null),
      ok(10, 1),
      no("USER_EXISTS", 10, 1),
      no("INSUFFICIENT_FUNDS", 10, 1),
      ok(0, 2),
      ok(3, 3),
    ]);
    expect(await rows(user)).toEqual([[3, 0, 3]]);
  });

  test("money that a transfer brings is spent by the next one", async () => {
    expectSoundJournal();
    const [a = 0, b = 0, c = 0, d = 0] = await open(10, 0, 0, 0);
    const pay = (user: number, to: number, amount = 10): Step => {
      return { user, kind: "transfer", to, amount, id: newUuid() };
    };
    expect(
      await apply([pay(b, c), pay(a, b), pay(b, c), pay(c, d), pay(d, a, 4), pay(c, d, 1)]),
    ).toEqual([
      no("INSUFFICIENT_FUNDS", 0, 0),
      ok(0, 2),
      ok(0, 2),
      ok(0, 2),
      ok(6, 2),
      no("INSUFFICIENT_FUNDS", 0, 2),
    ]);
    expect(await rows(a, b, c, d)).toEqual([
      [4, 0, 3],
      [0, 0, 2],
      [0, 0, 2],
      [6, 0, 2],
    ]);
  });

  test("a hold is taken, captured in part, and closed for what follows", async () => {
    expectSoundJournal();
    const [user = 0, payee = 0] = await open(100, 0);
    const [first, second] = [newUuid(), newUuid()];
    expect(
      await applyFully([
        { user, kind: "capture", id: first },
        { user, kind: "hold", amount: 70, id: first },
        { user, amount: -31 },
        { user, kind: "capture", amount: 71, id: first },
        { user: payee, kind: "capture", amount: 1, id: first },
        { user, kind: "capture", amount: 50, id: first, to: payee },
        { user, kind: "void", id: first },
        { user, kind: "hold", amount: 50, id: second },
        { user, kind: "void", id: second },
        { user, kind: "capture", id: second },
        { user: payee, amount: -50 },
      ]).then((all) => all.map(({ refusal, balance, amount }) => [refusal, balance, amount])),
    ).toEqual([
      ["HOLD_NOT_FOUND", 100, null],
      [null, 30, null],
      ["INSUFFICIENT_FUNDS", 30, null],
      ["CAPTURE_EXCEEDS_HOLD", 30, null],
      ["HOLD_NOT_FOUND", 0, null],
      [null, 50, 70],
      ["HOLD_CLOSED", 50, null],
      [null, 0, null],
      [null, 50, 50],
      ["HOLD_CLOSED", 50, null],
      [null, 0, null],
    ]);
    expect(await rows(user, payee)).toEqual([
      [50, 0, 6],
      [0, 0, 2],
    ]);
  });

  test("a version that the batch itself made is one to ask for", async () => {
    expectSoundJournal();
    const [user = 0] = await open(10);
    expect(
      await apply([
        { user, amount: 1, ifVersion: 2 },
        { user, amount: 1, ifVersion: 1 },
        { user, amount: 1, ifVersion: 1 },
        { user, amount: 1, ifVersion: 2 },
      ]),
    ).toEqual([
      no("PRECONDITION_FAILED", 10, 1),
      ok(11, 2),
      no("PRECONDITION_FAILED", 11, 2),
      ok(12, 3),
    ]);
  });

  test("500 operations on one user leave 500 entries, each with its place", async () => {
    expectSoundJournal();
    const [user = 0] = await open(100);
    const decided = await apply(
      Array.from({ length: 500 }, (_, index) => ({ user, amount: index % 2 === 0 ? -1 : 1 })),
    );
    expect(decided).toEqual(
      Array.from({ length: 500 }, (_, index) => ok(index % 2 === 0 ? 99 : 100, index + 2)),
    );
  });
});

describe("a group applies all or none", () => {
  test("a refused leg takes back its group and leaves the neighbours", async () => {
    expectSoundJournal();
    const [a = 0, b = 0, c = 0] = await open(100, 10, 0);
    const leg = (user: number, to: number, amount: number, group?: number): Step => {
      const step = { user, kind: "transfer", to, amount, id: newUuid() } as const;
      return group === undefined ? step : { ...step, group };
    };
    const held = newUuid();
    const decided = await applyFully([
      leg(a, b, 1),
      { user: a, kind: "hold", amount: 9, id: held },
      leg(a, b, 40, 1),
      leg(b, c, 51, 1),
      leg(c, a, 60, 1),
      leg(a, c, 1, 1),
      leg(a, c, 30, 2),
      leg(c, b, 30, 2),
      leg(c, b, 1, 3),
      leg(a, b, 1, 3),
      { user: a, amount: -60 },
      { user: b, amount: -41 },
    ]);
    expect(
      decided.map(({ refusal, balance, refusedLeg }) => [refusal, balance, refusedLeg]),
    ).toEqual([
      [null, 99, null],
      [null, 90, null],
      // The third leg asks c for more than it has by then; a is told its balance before the group.
      ["INSUFFICIENT_FUNDS", 90, 3],
      [null, expect.anything(), null],
      ["INSUFFICIENT_FUNDS", null, null],
      [null, null, null],
      [null, 60, null],
      [null, 0, null],
      ["INSUFFICIENT_FUNDS", 0, 1],
      [null, null, null],
      [null, 0, null],
      [null, 0, null],
    ]);
    expect(await rows(a, b, c)).toEqual([
      [0, 9, 5],
      [0, 0, 4],
      [0, 0, 2],
    ]);
    const posted = await psql(
      databaseUrl,
      "SELECT user_id::int AS u, amount::int AS a FROM entries WHERE user_id = ANY ($1) ORDER BY user_id, version",
      [[a, b, c]],
    );
    expect(posted.map(({ u, a: amount }) => [u, amount])).toEqual([
      ...[
        [a, 100],
        [a, -1],
        [a, -9],
        [a, -30],
        [a, -60],
      ],
      ...[
        [b, 10],
        [b, 1],
        [b, 30],
        [b, -41],
      ],
      ...[
        [c, 30],
        [c, -30],
      ],
    ]);
  });

  test.each([1, 2, 3])(
    "refused at leg %i of 3, alone in its batch: every table is as it was",
    async (bad) => {
      const [a = 0, b = 0] = await open(10, 10);
      const before = await fingerprint();
      const decided = await applyFully(
        [1, 2, 3].map((leg) => ({
          ...{ user: a, to: b, kind: "transfer", id: newUuid(), group: 7 },
          amount: leg === bad ? 11 : 1,
        })),
      );
      expect(decided[0]).toMatchObject({ ...no("INSUFFICIENT_FUNDS", 10, 1), refusedLeg: bad });
      expect(await fingerprint()).toEqual(before);
    },
  );

  test("a precondition of the first leg is a reason like any other", async () => {
    const [a = 0, b = 0] = await open(10, 10);
    const decided = await applyFully([
      { user: a, to: b, kind: "transfer", amount: 1, id: newUuid(), group: 1, ifVersion: 9 },
      { user: a, to: b, kind: "transfer", amount: 1, id: newUuid(), group: 1 },
    ]);
    expect(decided[0]).toMatchObject({ ...no("PRECONDITION_FAILED", 10, 1), refusedLeg: 1 });
    expect(await rows(a, b)).toEqual([
      [10, 0, 1],
      [10, 0, 1],
    ]);
  });

  test("a refused group that is the first to post leaves no mark on what follows it", async () => {
    const [a = 0, b = 0, c = 0] = await open(10, 10, 10);
    const group = (amounts: readonly number[]): Step[] =>
      amounts.map((amount) => {
        return { user: a, to: b, kind: "transfer", amount, id: newUuid(), group: 1 };
      });
    await apply([...group([1, 11]), { user: c, amount: -7 }, { user: a, amount: -1 }]);
    const posted = await psql(
      databaseUrl,
      `SELECT user_id::int AS user, amount::int, kind, operation_id AS id FROM entries
        WHERE user_id = ANY ($1) AND version = 2 ORDER BY user_id`,
      [[a, b, c]],
    );
    expect(posted).toEqual([
      { user: a, amount: -1, kind: "adjustment", id: null },
      { user: c, amount: -7, kind: "adjustment", id: null },
    ]);
  });

  test.each(["adjustment", "hold", "capture", "void", "opening", "touch"] as const)(
    "only transfers go in groups: %s is refused with the whole batch",
    async (kind) => {
      const [a = 0, b = 0] = await open(10, 10);
      const before = await fingerprint();
      const steps: Step[] = [
        { user: a, amount: 1 },
        { user: a, to: b, kind: "transfer", amount: 1, id: newUuid(), group: 1 },
        { user: b, amount: 1, id: newUuid(), group: 1, ...(kind !== "adjustment" && { kind }) },
      ];
      await expect(apply(steps)).rejects.toMatchObject({ code: "22023" });
      expect(await fingerprint()).toEqual(before);
    },
  );
});

describe("no balance and no hold takes a user above 2^53 - 1", () => {
  test("what is held counts, and what comes back always fits", async () => {
    expectSoundJournal();
    const [rich = 0, payer = 0] = await open(max, 10);
    const [held, taken] = [newUuid(), newUuid()];
    await apply([
      { user: rich, kind: "hold", amount: max, id: held },
      { user: payer, kind: "hold", amount: 5, id: taken },
    ]);
    expect(await rows(rich)).toEqual([[0, max, 2]]);
    // Alone, in company, by transfer, by capture: the answer is the same.
    const full = no("BALANCE_LIMIT_EXCEEDED", 0, 2);
    expect(await apply([{ user: rich, amount: 1 }])).toEqual([full]);
    expect(await apply([{ user: rich, amount: 1, reference: "long way" }])).toEqual([full]);
    expect(
      await apply([
        { user: payer, to: rich, kind: "transfer", amount: 1, id: newUuid() },
        { user: payer, to: rich, kind: "capture", amount: 1, id: taken },
        { user: rich, kind: "capture", amount: 2, id: held },
        { user: payer, to: rich, kind: "capture", amount: 2, id: taken },
        { user: payer, to: rich, kind: "transfer", amount: 1, id: newUuid() },
      ]),
    ).toEqual([
      no("BALANCE_LIMIT_EXCEEDED", 5, 2),
      no("BALANCE_LIMIT_EXCEEDED", 5, 2),
      ok(max - 2, 4),
      ok(8, 4),
      no("BALANCE_LIMIT_EXCEEDED", 8, 4),
    ]);
    expect(await rows(rich, payer)).toEqual([
      [max, 0, 5],
      [8, 0, 4],
    ]);
  });

  test("a void brings a full user back to the limit", async () => {
    expectSoundJournal();
    const [rich = 0] = await open(max);
    const held = newUuid();
    expect(
      await apply([
        { user: rich, kind: "hold", amount: 1, id: held },
        { user: rich, amount: 1 },
        { user: rich, kind: "void", id: held },
        { user: rich, amount: -max },
        { user: rich, amount: max },
      ]),
    ).toEqual([
      ok(max - 1, 2),
      no("BALANCE_LIMIT_EXCEEDED", max - 1, 2),
      ok(max, 3),
      ok(0, 4),
      ok(max, 5),
    ]);
  });
});

test("a batch that the tables refuse leaves nothing behind", async () => {
  const [user = 0] = await open(10);
  const before = await fingerprint();
  const broken = apply([
    { user, amount: 1 },
    { user: newId(), kind: "opening", amount: max + 1 },
  ]);
  await expect(broken).rejects.toMatchObject({ code: "23514" });
  expect(await fingerprint()).toEqual(before);
});
