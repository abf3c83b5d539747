/** Many at once on a real database: exact counts, a journal that adds up, nothing in between. */
import pg from "pg";
import { describe, expect, test } from "vitest";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { Operation, Outcome } from "../../src/ledger/operation.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { patient } from "../support/database/locked-user.ts";
import { hitAtOnce, tally } from "../support/http/load.ts";
import { account, journalFindings, snapshot } from "../support/oracle/journal.ts";
import { startServer } from "../support/server/program.ts";

/** Asks for everything before the first answer can come. */
function applyAll(ledger: Ledger, operations: readonly Operation[]): Promise<Outcome[]> {
  return Promise.all(operations.map((operation) => ledger.apply(operation)));
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function refusals(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { refusal } of outcomes) {
    const key = refusal ?? "applied";
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** A generator of numbers from 0 to 1 that gives the same ones in every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("one user, 10000, hit by withdrawals at once", () => {
  test("10,000 of 2: exactly 5,000 are made", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const outcomes = await applyAll(
      ledger,
      times(10_000, () => adjustment(1, -2)),
    );
    expect(refusals(outcomes)).toEqual({ applied: 5_000, INSUFFICIENT_FUNDS: 5_000 });
    expect(await account(url)).toEqual({ balance: 0, entries: 5_001 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("each success saw its own balance, in the order of asking", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const outcomes = await applyAll(
      ledger,
      times(6_000, () => adjustment(1, -2)),
    );
    expect(outcomes.map(({ balance, version }) => [balance, version])).toEqual([
      ...times(5_000, (n) => [9_998 - 2 * n, n + 2]),
      ...times(1_000, () => [0, 5_001]),
    ]);
  });

  test("3,400 of 3: exactly 3,333 are made, and 1 is left", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const outcomes = await applyAll(
      ledger,
      times(3_400, () => adjustment(1, -3)),
    );
    expect(refusals(outcomes)).toEqual({ applied: 3_333, INSUFFICIENT_FUNDS: 67 });
    expect(await account(url)).toEqual({ balance: 1, entries: 3_334 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("one transaction a request, 2,000 of 10: exactly 1,000 are made", async () => {
    const url = await createTestDatabase();
    const batches: number[] = [];
    const { ledger } = openTestLedger(url, {
      batchSizeMax: 1,
      observers: [{ batchCommitted: ({ operations }) => batches.push(operations) }],
    });
    const outcomes = await applyAll(
      ledger,
      times(2_000, () => adjustment(1, -10)),
    );
    expect(refusals(outcomes)).toEqual({ applied: 1_000, INSUFFICIENT_FUNDS: 1_000 });
    expect(batches).toEqual(times(2_000, () => 1));
    const [row] = await psql(url, "SELECT count(DISTINCT xmin::text)::int AS n FROM entries");
    expect(row).toEqual({ n: 1_001 });
    expect(await account(url)).toEqual({ balance: 0, entries: 1_001 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test.each([1, 500])("several ledgers at once, batches of at most %i", async (batchSizeMax) => {
    const url = await createTestDatabase();
    const ledgers = times(4, () => openTestLedger(url, { batchSizeMax, lanes: 1 }).ledger);
    const outcomes = await Promise.all(
      times(1_200, (n) => (ledgers[n % 4] as Ledger).apply(adjustment(1, -20))),
    );
    expect(refusals(outcomes)).toEqual({ applied: 500, INSUFFICIENT_FUNDS: 700 });
    expect(await account(url)).toEqual({ balance: 0, entries: 501 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("psql takes its part as well, and neither overdraws", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const byHand = new pg.Client(url);
    await byHand.connect();
    const asPerson = async () => {
      let made = 0;
      for (let n = 0; n < 100; n++) {
        const { rows } = await byHand.query("SELECT * FROM apply_operations('{1}','{1}','{-5}')");
        if (rows[0].refusals[0] === null) made += 1;
      }
      return made;
    };
    const [byPerson, outcomes] = await Promise.all([
      asPerson(),
      applyAll(
        ledger,
        times(5_000, () => adjustment(1, -5)),
      ),
    ]);
    await byHand.end();
    expect(byPerson + (refusals(outcomes)["applied"] ?? 0)).toBe(2_000);
    expect(await account(url)).toEqual({ balance: 0, entries: 2_001 });
    expect(await journalFindings(url)).toEqual([]);
  });
});

describe("two server processes on one database", () => {
  test("10,000 withdrawals of 2, half to each: exactly 5,000 are made", async () => {
    const url = await createTestDatabase();
    const env = { DATABASE_URL: url, ...patient };
    const servers = await Promise.all([startServer(env), startServer(env)]);
    const answers = await hitAtOnce(
      servers.map((server) => server.url),
      times(10_000, () => ({ userId: 1, amount: -2 })),
    );
    expect(tally(answers)).toEqual({ "200": 5_000, "422 INSUFFICIENT_FUNDS": 5_000 });
    expect(await account(url)).toEqual({ balance: 0, entries: 5_001 });
    expect(await journalFindings(url)).toEqual([]);
    const balances = answers
      .filter(({ status }) => status === 200)
      .map(({ body }) => (JSON.parse(body) as { data: { balance: number } }).data.balance);
    expect(balances.sort((a, b) => b - a)).toEqual(times(5_000, (n) => 9_998 - 2 * n));
    expect(await Promise.all(servers.map((server) => server.stop()))).toEqual([0, 0]);
  });

  test("one transaction a request gives the same", async () => {
    const url = await createTestDatabase();
    const env = { DATABASE_URL: url, ...patient, BALANCECTL_BATCH_SIZE_MAX: "1" };
    const servers = await Promise.all([startServer(env), startServer(env)]);
    const answers = await hitAtOnce(
      servers.map((server) => server.url),
      times(1_000, () => ({ userId: 1, amount: -20 })),
    );
    expect(tally(answers)).toEqual({ "200": 500, "422 INSUFFICIENT_FUNDS": 500 });
    expect(await account(url)).toEqual({ balance: 0, entries: 501 });
    expect(await journalFindings(url)).toEqual([]);
  });
});

describe("deposits and withdrawals mixed", () => {
  test("on one user: balance = sum of entries, the chain has no gap", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url, { batchSizeMax: 50 });
    const next = random(20_260_101);
    const amounts = times(5_000, () => Math.floor(next() * 2_001) - 1_050).filter(Boolean);
    const outcomes = await applyAll(
      ledger,
      amounts.map((amount) => adjustment(1, amount)),
    );
    // One user's operations keep their order, so a sum of four lines knows every outcome.
    let balance = 10_000;
    const expected = amounts.map((amount) => {
      const refused = balance + amount < 0;
      if (!refused) balance += amount;
      return { refusal: refused ? "INSUFFICIENT_FUNDS" : null, balance };
    });
    expect(
      outcomes.map((outcome) => ({ refusal: outcome.refusal, balance: outcome.balance })),
    ).toEqual(expected);
    expect((await account(url))?.balance).toBe(balance);
    expect(await journalFindings(url)).toEqual([]);
  });

  test("on 200 users through two ledgers: each user's own sum", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const other = openTestLedger(url, { lanes: 2, batchSizeMax: 7 }).ledger;
    const opened = await Promise.all(times(200, () => ledger.openUser({ balance: 100 })));
    const ids = opened.map(({ createdUserId }) => createdUserId as number);
    expect(new Set(ids).size).toBe(200);
    const next = random(7);
    const asked = times(6_000, () => {
      const amount = Math.floor(next() * 200) - 110 || 1;
      return adjustment(ids[Math.floor(next() * ids.length)] as number, amount);
    });
    const outcomes = await Promise.all(
      asked.map((operation, n) => (n % 2 ? ledger : other).apply(operation)),
    );
    const sums = new Map(ids.map((id) => [id, { balance: 100, entries: 1 }]));
    outcomes.forEach(({ refusal }, n) => {
      const { userId, amount } = asked[n] as Operation;
      const sum = sums.get(userId) as { balance: number; entries: number };
      if (refusal !== null) return;
      sum.balance += amount as number;
      sum.entries += 1;
    });
    const rows = await psql(
      url,
      `SELECT id::int, balance::int, version::int AS entries FROM users WHERE id <> 1 ORDER BY id`,
    );
    expect(rows).toEqual(ids.sort((a, b) => a - b).map((id) => ({ id, ...sums.get(id) })));
    expect(await journalFindings(url)).toEqual([]);
  });

  test("a withdrawal right behind its deposit finds the money there", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url, { batchSizeMax: 33 });
    const { createdUserId } = await ledger.openUser({ balance: 0 });
    const id = createdUserId as number;
    const outcomes = await applyAll(
      ledger,
      times(1_000, (n) => adjustment(id, n % 2 === 0 ? 10 : -10)),
    );
    expect(refusals(outcomes)).toEqual({ applied: 1_000 });
    expect(await account(url, id)).toEqual({ balance: 0, entries: 1_000 });
  });
});

describe("neighbours in a batch", () => {
  test("a refused operation does not touch those beside it", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url, { lanes: 1 });
    const opened = await Promise.all(times(3, () => ledger.openUser({ balance: 10 })));
    const [a, b, c] = opened.map(({ createdUserId }) => createdUserId as number) as [
      number,
      number,
      number,
    ];
    const outcomes = await applyAll(ledger, [
      adjustment(a, -10),
      adjustment(b, -11),
      adjustment(999_999, 5),
      adjustment(c, Number.MAX_SAFE_INTEGER),
      adjustment(a, -1),
      adjustment(b, -10),
      adjustment(c, 1),
    ]);
    expect(outcomes.map(({ refusal, balance }) => [refusal, balance])).toEqual([
      [null, 0],
      ["INSUFFICIENT_FUNDS", 10],
      ["USER_NOT_FOUND", null],
      ["BALANCE_LIMIT_EXCEEDED", 10],
      ["INSUFFICIENT_FUNDS", 0],
      [null, 0],
      [null, 11],
    ]);
    expect(await journalFindings(url)).toEqual([]);
  });

  test("a batch of refusals leaves every table as it was", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    const before = await snapshot(url);
    const outcomes = await applyAll(
      ledger,
      times(1_000, (n) =>
        n % 4 === 0 ? adjustment(1, Number.MAX_SAFE_INTEGER) : adjustment(n % 4, -10_001),
      ),
    );
    expect(refusals(outcomes)).toEqual({
      BALANCE_LIMIT_EXCEEDED: 250,
      INSUFFICIENT_FUNDS: 250,
      USER_NOT_FOUND: 500,
    });
    expect(await snapshot(url)).toEqual(before);
  });

  test("a refused operation alone leaves every table as it was", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url, { batchSizeMax: 1 });
    const before = await snapshot(url);
    const [poor, rich, nobody] = await applyAll(ledger, [
      adjustment(1, -10_001),
      adjustment(1, Number.MAX_SAFE_INTEGER),
      adjustment(2, 1),
    ]);
    expect([poor?.refusal, rich?.refusal, nobody?.refusal]).toEqual([
      "INSUFFICIENT_FUNDS",
      "BALANCE_LIMIT_EXCEEDED",
      "USER_NOT_FOUND",
    ]);
    expect(await snapshot(url)).toEqual(before);
  });
});

describe("users at once", () => {
  test("500 openings get 500 ids, through two ledgers", async () => {
    const url = await createTestDatabase();
    const ledgers = [openTestLedger(url).ledger, openTestLedger(url).ledger] as const;
    const outcomes = await Promise.all(
      times(500, (n) => (ledgers[n % 2] as Ledger).openUser({ balance: n })),
    );
    expect(refusals(outcomes)).toEqual({ applied: 500 });
    expect(new Set(outcomes.map(({ createdUserId }) => createdUserId)).size).toBe(500);
    const rows = await psql(url, "SELECT balance::int FROM users WHERE id <> 1 ORDER BY balance");
    expect(rows.map(({ balance }) => balance)).toEqual(times(500, (n) => n));
    expect(await journalFindings(url)).toEqual([]);
  });

  test("one id asked for by 50 through two ledgers is opened once", async () => {
    const url = await createTestDatabase();
    const ledgers = [openTestLedger(url).ledger, openTestLedger(url).ledger] as const;
    const outcomes = await Promise.all(
      times(50, (n) => (ledgers[n % 2] as Ledger).openUser({ id: 77, balance: 10 })),
    );
    expect(refusals(outcomes)).toEqual({ applied: 1, USER_EXISTS: 49 });
    expect(await account(url, 77)).toEqual({ balance: 10, entries: 1 });
  });

  test("an id that was chosen by hand is stepped over", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    await ledger.openUser({ id: 2, balance: 5 });
    await ledger.openUser({ id: 3, balance: 5 });
    const { refusal, createdUserId } = await ledger.openUser({ balance: 7 });
    expect([refusal, createdUserId]).toEqual([null, 4]);
    expect(await account(url, 2)).toEqual({ balance: 5, entries: 1 });
  });
});
