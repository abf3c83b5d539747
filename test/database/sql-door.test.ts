/** The door for an application's own transaction: as a role that may do nothing else. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { grantRole } from "../../src/database/grants.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { createRandom } from "../support/random.ts";

const url = await createTestDatabase();
const role = `balancectl_test_${randomBytes(4).toString("hex")}`;
const { ledger } = openTestLedger(url);
await psql(url, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
afterFile(async () => {
  await psql(url, `DROP OWNED BY ${role}`);
  await psql(url, `DROP ROLE ${role}`);
});
await psql(url, `CREATE TABLE orders (id int PRIMARY KEY, amount bigint)`);
await grantRole(url, role, "os:test", "application");
await psql(url, `GRANT INSERT ON orders TO ${role}`);

async function connect(): Promise<pg.Client> {
  const as = new URL(url);
  as.username = role;
  as.password = "x";
  const client = new pg.Client(as.href);
  client.on("error", () => {});
  await client.connect();
  afterFile(() => client.end());
  return client;
}

const client = await connect();

async function call<Row = Record<string, unknown>>(
  text: string,
  values: unknown[] = [],
): Promise<Row> {
  const { rows } = await client.query(`SELECT * FROM ${text}`, values);
  return rows[0] as Row;
}

async function open(balance: number): Promise<number> {
  const { user_id } = await call<{ user_id: string }>("open_user(balance => $1)", [balance]);
  return Number(user_id);
}

const nothing = { previous_balance: null, operation_id: null, user_id: null };

describe("each says what came of it", () => {
  test("adjust", async () => {
    const user = await open(10);
    expect(
      await call(
        "adjust(user_id => $1, amount => -2, idempotency_key => 'order-17', reference => 'order 17', metadata => '{}', min_balance => 0)",
        [user],
      ),
    ).toEqual({
      ...{ refusal: null, balance: "8", previous_balance: "10", version: "2", replayed: false },
      ...{ operation_id: null, user_id: String(user) },
    });
    expect(await call("try_adjust($1, -9)", [user])).toEqual({
      ...{ refusal: "INSUFFICIENT_FUNDS", balance: "8", version: "2", replayed: false },
      ...nothing,
    });
    const again = await call("adjust($1, -2, 'order-17', 'order 17', '{}', 0)", [user]);
    expect(again).toMatchObject({ balance: "8", previous_balance: "10", replayed: true });
  });

  test("transfer, hold, capture, void", async () => {
    const [payer, payee] = [await open(100), await open(0)];
    const transfer = await call("transfer(from_user_id => $1, to_user_id => $2, amount => 30)", [
      payer,
      payee,
    ]);
    expect(transfer).toMatchObject({
      balance: "70",
      previous_balance: "100",
      operation_id: expect.any(String),
    });
    const held = await call<{ operation_id: string }>("hold($1, 50, expires_in => 3600)", [payer]);
    expect(held).toMatchObject({ balance: "20", previous_balance: "70" });
    const part = await call("capture($1, $2, 20, $3)", [payer, held.operation_id, payee]);
    expect(part).toMatchObject({
      balance: "50",
      previous_balance: "20",
      operation_id: held.operation_id,
    });
    const closed = await call("try_void($1, $2)", [payer, held.operation_id]);
    expect(closed).toMatchObject({ refusal: "HOLD_CLOSED" });
    const other = await call<{ operation_id: string }>("hold($1, 5)", [payer]);
    expect(await call("void($1, $2)", [payer, other.operation_id])).toMatchObject({
      ...{ balance: "50", previous_balance: "45" },
    });
    expect(await call("balance_of($1)", [payee])).toEqual({ balance_of: "50" });
    expect(await call("balance_of(999999)")).toEqual({ balance_of: null });
  });

  test("open_user: an id asked for, the next, and one key", async () => {
    expect(await call("try_open_user(user_id => 1)")).toMatchObject({ refusal: "USER_EXISTS" });
    const first = await call("open_user(balance => 5, idempotency_key => 'o')");
    const second = await call("open_user(balance => 5, idempotency_key => 'o')");
    expect(second).toEqual({ ...first, replayed: true });
    const next = (await open(0)) + 1;
    await call("open_user(user_id => $1)", [next]);
    expect(await open(0)).toBe(next + 1);
  });
});

describe("the plain form raises, and the transaction of the caller is rolled back", () => {
  test.each([
    ["adjust(1, -10001)", "BC101", "insufficient_funds"],
    ["adjust(99999, 1)", "BC102", "user_not_found"],
    ["transfer(1, 99999, 1)", "BC103", "recipient_not_found"],
    ["open_user(1)", "BC104", "user_exists"],
    ["adjust(1, 9007199254740991)", "BC105", "balance_limit_exceeded"],
    ["adjust(1, 1, if_version => 9)", "BC106", "precondition_failed"],
    ["void(1, gen_random_uuid())", "BC107", "hold_not_found"],
  ])("%s", async (text, code, constraint) => {
    await client.query("BEGIN");
    await client.query("INSERT INTO orders VALUES (0, 1)");
    await expect(call(text)).rejects.toMatchObject({
      ...{ code, constraint, detail: expect.stringMatching(/^user \d+, balance /) },
      hint: "The transaction is rolled back; the try_ form returns the refusal instead.",
    });
    await client.query("ROLLBACK");
    expect(await psql(url, "SELECT * FROM orders")).toEqual([]);
  });

  test.each([
    ["adjust(1, 0)", "no adjustment is of 0"],
    ["adjust(NULL, 1)", "user_id must be from 1 to 9007199254740991"],
    ["adjust(1, NULL)", "an adjustment has an amount"],
    ["adjust(1, 9007199254740992)", "amount must be at most 9007199254740991"],
    ["adjust(1, 1, min_balance => -1)", "min_balance must be from 0 to 9007199254740991"],
    [
      "adjust(1, 1, '')",
      "idempotency_key must be 1 to 255 visible ASCII characters without spaces",
    ],
    [
      "adjust(1, 1, reference => E'a\\nb')",
      "reference must be 1 to 255 characters, none of them a control character",
    ],
    ["adjust(1, 1, metadata => '[]')", "metadata must be a JSON object of at most 4096 bytes"],
    ["transfer(1, 1, 1)", "to_user_id must not be the user who pays"],
    ["transfer(1, 2, -1)", "there is no transfer of -1 from slot 1 to slot 2"],
    ["hold(1, 1, 0)", "expires_in must be from 1 to 315360000 seconds"],
  ])("what nobody may ask: %s", async (text, message) => {
    await expect(call(text)).rejects.toMatchObject({ code: "22023", message });
  });
});

test("the role may call nothing else, and touch nothing", async () => {
  for (const sql of [
    "SELECT apply_operations('{1}', '{1}', '{5}')",
    "SELECT ask_ledger(NULL, 1, 5, 5, NULL, NULL, NULL, '{}', NULL, NULL, NULL, NULL, NULL)",
    "UPDATE users SET balance = 0",
    "SELECT * FROM tokens",
    "SELECT * FROM idempotency_keys",
  ]) {
    await expect(client.query(sql)).rejects.toMatchObject({ code: "42501" });
  }
});

test("an order and its debit, 1,000 times with rollbacks, while others debit the same user: both or neither", async () => {
  const user = await open(1_000_000);
  const random = createRandom(17);
  const kept: number[] = [];
  let elsewhere = 0;
  let over = false;
  const others = (async () => {
    while (!over) {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, () => ledger.apply(adjustment(user, -1))),
      );
      elsewhere += outcomes.filter(({ refusal }) => refusal === null).length;
    }
  })();
  for (let order = 1; order <= 1_000; order += 1) {
    await client.query("BEGIN");
    await client.query("INSERT INTO orders VALUES ($1, 3)", [order]);
    await call("adjust($1, -3, $2)", [user, `order-${order}`]);
    const isKept = random.below(2) === 1;
    await client.query(isKept ? "COMMIT" : "ROLLBACK");
    if (isKept) kept.push(order);
  }
  over = true;
  await others;
  const orders = await psql<{ id: number }>(url, "SELECT id FROM orders ORDER BY id");
  expect(orders.map(({ id }) => id)).toEqual(kept);
  const keys = await psql<{ key: string }>(
    url,
    "SELECT key FROM idempotency_keys WHERE user_id = $1",
    [user],
  );
  expect(keys.map(({ key }) => Number(key.slice(6))).sort((a, b) => a - b)).toEqual(kept);
  const [sums] = await psql(
    url,
    `SELECT u.balance::int, (SELECT sum(amount)::int FROM entries WHERE user_id = u.id) AS sum,
            u.version::int, (SELECT count(*)::int FROM entries WHERE user_id = u.id) AS count
       FROM users u WHERE id = $1`,
    [user],
  );
  const balance = 1_000_000 - 3 * kept.length - elsewhere;
  const version = 1 + kept.length + elsewhere;
  expect(sums).toEqual({ balance, sum: balance, version, count: version });
  expect(elsewhere).toBeGreaterThan(100);
}, 60_000);

test("who stays in a transaction keeps its own user, whose callers are told so in time, and nobody else", async () => {
  const [locked, free] = [await open(10), await open(10)];
  const { ledger: hasty } = openTestLedger(url, { lockTimeoutMs: 300 });
  await client.query("BEGIN");
  await call("adjust($1, -1)", [locked]);
  const refused = hasty.apply(adjustment(locked, -1));
  for (let change = 0; change < 5; change += 1) {
    expect(await hasty.apply(adjustment(free, -1))).toMatchObject({ refusal: null });
  }
  await expect(refused).rejects.toMatchObject({ applied: "no" });
  await client.query("COMMIT");
  await expect
    .poll(async () => (await hasty.apply(adjustment(locked, -1)).catch(() => null))?.balance)
    .toBe(8);
});

test("the journal says which role asked", async () => {
  const user = await open(1);
  const { entries } = await ledger.entries({ userId: user, order: "desc", limit: 1 });
  expect(entries[0]?.actor).toBe(`role:${role}`);
});

test("the same request has the same fingerprint through each door", async () => {
  const user = await open(100);
  const metadata = { b: [1, 'ü"', { z: null, a: true }], a: {} };
  const key = "k".repeat(30);
  await ledger.apply(
    adjustment(user, -7, { idempotencyKey: key, reference: "straße", metadata, minBalance: 1 }),
  );
  await psql(url, "SELECT adjust($1, -7, $2, 'straße', $3, 1)", [
    user,
    key,
    JSON.stringify(metadata),
  ]);
  expect(await psql(url, "SELECT balance::int FROM users WHERE id = $1", [user])).toEqual([
    { balance: 93 },
  ]);
});

test("signatures that were released still answer", async () => {
  const released = await readFile(join(packageRoot, "migrations/signatures.txt"), "utf8");
  const rows = await psql<{ signature: string }>(
    url,
    `SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> ' || pg_get_function_result(p.oid) AS signature
       FROM pg_proc p
      WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^(try_)?(adjust|transfer|hold|capture|void|open_user)$|^balance_of$'
      ORDER BY 1`,
  );
  const [verdict] = await psql<{ columns: string }>(
    url,
    `SELECT string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum) AS columns
       FROM pg_attribute WHERE attrelid = 'verdict'::regclass AND attnum > 0`,
  );
  const now = [...rows.map(({ signature }) => signature), `verdict: ${verdict?.columns}`];
  for (const line of released.trim().split("\n")) expect(now).toContain(line);
});

test("what docs/sql.md shows runs as it stands", async () => {
  const text = await readFile(join(packageRoot, "docs/sql.md"), "utf8");
  const examples = [...text.matchAll(/^```sql\n(.*?)^```/gms)].map(([, sql = ""]) => sql);
  expect(examples).toHaveLength(4);
  await psql(url, `CREATE TABLE shop_orders (id int PRIMARY KEY, user_id bigint, total bigint)`);
  await psql(url, `GRANT INSERT ON shop_orders TO ${role}`);
  const results: unknown[] = [];
  for (const sql of examples) {
    const answers = await client.query(sql.replaceAll("INTO orders", "INTO shop_orders"));
    for (const { rows } of [answers].flat()) results.push(...rows);
  }
  expect(results).toEqual([
    { balance: "9750" },
    { refusal: "INSUFFICIENT_FUNDS", balance: "9750" },
    { operation_id: expect.any(String) },
    { balance: "9725" },
  ]);
  const states = [...text.matchAll(/^\| (BC\d+) \| (\w+) \|$/gm)].map(([, state, name]) => [
    state,
    name,
  ]);
  const source = await readFile(
    join(packageRoot, "migrations/functions/raise_refusal.sql"),
    "utf8",
  );
  const raised = [...source.matchAll(/'([A-Z_]+)' THEN '(BC1(?!00)\d\d)'/g)].map(
    ([, name = "", state]) => [state, name.toLowerCase()],
  );
  expect(states).toEqual(raised);
});
