/** The ledger in this process, and inside transactions of others' libraries. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import knex from "knex";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { Sequelize } from "sequelize";
import { afterAll, describe, expect, test } from "vitest";
import {
  type Door,
  knexTransaction,
  kyselyTransaction,
  type OpenedLedger,
  openLedger,
  postgresTransaction,
  type Queryable,
  sequelizeTransaction,
} from "../../src/library/open-ledger.ts";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { createRandom } from "../support/random.ts";

const url = await createTestDatabase();
const ledger = await openLedger({ databaseUrl: url });
await psql(url, "CREATE TABLE orders (id int PRIMARY KEY)");
const pool = new pg.Pool({ connectionString: url, max: 4 });
pool.on("error", () => {});

afterAll(async () => {
  await ledger.close();
  await pool.end();
});

async function open(balance: number, at: OpenedLedger = ledger): Promise<number> {
  const opened = await at.openUser({ balance });
  return opened.refusal === null ? Number(opened.userId) : Number.NaN;
}

/** Commits unless `work` throws. */
async function transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const done = await work(client);
    await client.query("COMMIT");
    return done;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

describe.each<[string, (work: (door: Door) => Promise<void>) => Promise<void>]>([
  ["in process", (work) => work(ledger)],
  ["in a transaction", (work) => transaction((tx) => work(ledger.in(tx)))],
])("%s", (_where, within) => {
  test("every change, and what it says", async () => {
    const [payer, payee] = [await open(100), await open(0)];
    await within(async (door) => {
      expect(
        await door.adjust({ userId: payer, amount: -2, idempotencyKey: "k", reference: "r" }),
      ).toEqual({
        ...{ refusal: null, balance: 98, previousBalance: 100, version: 2, replayed: false },
        ...(door === ledger ? {} : { userId: payer }),
      });
      expect(
        await door.adjust({ userId: payer, amount: -2, idempotencyKey: "k", reference: "r" }),
      ).toMatchObject({
        ...{ balance: 98, replayed: true },
      });
      expect(await door.adjust({ userId: payer, amount: -99 })).toEqual({
        ...{ refusal: "INSUFFICIENT_FUNDS", balance: 98, version: 2, replayed: false },
      });
      expect(
        await door.transfer({ from: payer, to: payee, amount: 8, minBalance: 90 }),
      ).toMatchObject({
        ...{ refusal: null, balance: 90, previousBalance: 98, operationId: expect.any(String) },
      });
      const held = await door.hold({ userId: payer, amount: 40, expiresIn: 3_600 });
      const holdId = String("operationId" in held && held.operationId);
      const taken = await door.capture({ userId: payer, holdId, amount: 15, to: payee });
      expect(taken).toMatchObject({ refusal: null, balance: 75, previousBalance: 50 });
      expect(await door.void({ userId: payer, holdId })).toMatchObject({ refusal: "HOLD_CLOSED" });
      expect(await door.openUser({ userId: payer })).toMatchObject({ refusal: "USER_EXISTS" });
    });
    expect((await ledger.user(payee)).balance).toBe(23);
  });
});

test("reads, history and verification; what cannot be asked is said before it is", async () => {
  const user = await open(0);
  for (let amount = 1; amount <= 3; amount += 1) await ledger.adjust({ userId: user, amount });
  const amounts: number[] = [];
  for await (const { amount } of ledger.entries(user, { order: "asc" })) amounts.push(amount);
  expect(amounts).toEqual([1, 2, 3]);
  expect(await ledger.user(user)).toMatchObject({ id: user, balance: 6, version: 3 });
  await expect(ledger.user(999_999)).rejects.toMatchObject({ code: "USER_NOT_FOUND" });
  await expect(ledger.adjust({ userId: user, amount: 0.5 })).rejects.toMatchObject({
    code: "INVALID_REQUEST",
  });
  await expect(
    ledger.adjust({ userId: user, amount: 1, idempotencyKey: " " }),
  ).rejects.toMatchObject({
    ...{ code: "INVALID_REQUEST" },
  });
  expect(await ledger.verify()).toMatchObject({ ok: true, findings: [] });
});

test("a transaction that is rolled back has changed nothing", async () => {
  const user = await open(10);
  const failing = transaction(async (tx) => {
    await tx.query("INSERT INTO orders VALUES (1)");
    await ledger.in(tx).adjust({ userId: user, amount: -3, idempotencyKey: "order-1" });
    throw new Error("the card was refused");
  });
  await expect(failing).rejects.toThrow("the card was refused");
  expect((await ledger.user(user)).balance).toBe(10);
  expect(await psql(url, "SELECT * FROM orders")).toEqual([]);
});

describe("transactions of", () => {
  type Run = (work: (tx: Queryable) => Promise<unknown>) => Promise<unknown>;
  const sequelize = new Sequelize(url, { logging: false });
  const knexes = knex({ client: "pg", connection: url });
  const kysely = new Kysely<{ orders: { id: number } }>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  });
  const sql = postgres(url);
  afterAll(async () => {
    await Promise.all([sequelize.close(), knexes.destroy(), kysely.destroy(), sql.end()]);
  });
  const runs: [string, Run][] = [
    ["pg", (work) => transaction(work)],
    [
      "Sequelize",
      (work) => sequelize.transaction((tx) => work(sequelizeTransaction(sequelize, tx))),
    ],
    ["Knex", (work) => knexes.transaction((trx) => work(knexTransaction(trx)))],
    ["Kysely", (work) => kysely.transaction().execute((trx) => work(kyselyTransaction(trx)))],
    ["postgres.js", (work) => sql.begin((tx) => work(postgresTransaction(tx)))],
  ];

  test.each(runs)("%s: committed with it, rolled back with it", async (_name, run) => {
    const user = await open(10);
    const metadata = { a: ["ü", '"'] };
    const change = { userId: user, amount: -3, reference: "an order", metadata };
    await run(async (tx) => {
      expect(await ledger.in(tx).adjust(change)).toMatchObject({ refusal: null, balance: 7 });
    });
    const failing = run(async (tx) => {
      await ledger.in(tx).adjust(change);
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    const { value: last } = await ledger.entries(user)[Symbol.asyncIterator]().next();
    expect(last).toMatchObject({ balance: 7, reference: "an order", metadata });
  });
});

test("the same random changes through each door end in the same tables", async () => {
  const rows: unknown[] = [];
  for (const inSql of [false, true]) {
    const database = await createTestDatabase();
    const own = await openLedger({ databaseUrl: database });
    const client = new pg.Client(database);
    await client.connect();
    const door: Door = inSql ? own.in(client) : own;
    const random = createRandom(31);
    const verdicts: unknown[] = [];
    const users = [1, ...(await Promise.all([50, 0].map((balance) => open(balance, own))))];
    const holds: string[] = [];
    for (let step = 0; step < 300; step += 1) {
      const [userId, to] = [random.pick(users), random.pick(users)];
      const amount = random.below(60) - 20;
      const key = random.below(3) === 0 ? { idempotencyKey: `k${random.below(12)}` } : {};
      const holdId =
        holds[random.below(holds.length + 1)] ?? "00000000-0000-7000-8000-000000000000";
      const kinds = [
        () => door.adjust({ userId, amount: amount || 1, ...key }),
        () =>
          door.transfer({
            from: userId,
            to: to === userId ? (userId % 3) + 1 : to,
            amount: Math.abs(amount) + 1,
            ...key,
          }),
        () => door.hold({ userId, amount: Math.abs(amount) + 1, ...key }),
        () => door.capture({ userId, holdId, ...key }),
        () => door.void({ userId, holdId, ...key }),
        () =>
          door.adjust({
            userId,
            amount: -amount || 1,
            minBalance: 5,
            reference: "r",
            metadata: { z: 1, a: [2] },
            ...key,
          }),
      ];
      const verdict = await (random.pick(kinds) as () => Promise<object>)();
      if ("operationId" in verdict) holds.push(String(verdict.operationId));
      const { operationId: _, userId: __, ...said } = verdict as Record<string, unknown>;
      verdicts.push(said);
    }
    const select = (text: string) => client.query(text).then((answer) => answer.rows);
    rows.push({
      verdicts,
      users: await select("SELECT id, balance, held, version FROM users ORDER BY id"),
      entries: await select(
        "SELECT user_id, version, amount, balance, kind, reference, metadata FROM entries ORDER BY user_id, version",
      ),
      holds: await select("SELECT user_id, amount, captured, state FROM holds ORDER BY 1, 2, 3, 4"),
      keys: await select(
        "SELECT user_id, key, kind, refusal, amount, balance, version FROM idempotency_keys ORDER BY 1, 2",
      ),
    });
    expect(await own.verify()).toMatchObject({ ok: true });
    await client.end();
    await own.close();
  }
  expect(rows[1]).toEqual(rows[0]);
});

test("docs/typescript.md's example runs as it stands", async () => {
  const text = await readFile(join(packageRoot, "docs/typescript.md"), "utf8");
  const [, code = ""] = /```ts\n(.*?)```/s.exec(text) ?? [];
  const body = code
    .replace(/^import .*\n/gm, "")
    .replaceAll("process.env.DATABASE_URL", "databaseUrl");
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<unknown>;
  await psql(url, "CREATE TABLE IF NOT EXISTS shop_orders (id int, total bigint)");
  const run = new AsyncFunction("openLedger", "pg", "databaseUrl", body);
  await run(openLedger, pg, url);
  expect(await psql(url, "SELECT id, total FROM shop_orders")).toEqual([{ id: 17, total: "250" }]);
});
