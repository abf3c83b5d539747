/** What the database refuses to anybody, the owner in psql included, by SQLSTATE and constraint. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { journalFindings, snapshot } from "../support/oracle/journal.ts";

let url: string;
let client: pg.Client;
let before: Awaited<ReturnType<typeof snapshot>>;

/** User 1 as migrated, user 2 with three entries and 500, user 3 without any. */
beforeAll(async () => {
  url = await createTestDatabase();
  client = new pg.Client(url);
  await client.connect();
  await client.query("SELECT apply_operations('{2}', '{1}', '{900}', '{opening}')");
  await client.query("SELECT apply_operations('{2}', '{1}', '{-600}')");
  await client.query("SELECT apply_operations('{2}', '{1}', '{200}')");
  await client.query("SELECT apply_operations('{3}', '{1}', '{0}', '{opening}')");
  before = await snapshot(url);
});

afterAll(() => client.end());

/** Whatever was tried: nothing was written. */
afterEach(async () => {
  await client.query("ROLLBACK");
  expect(await snapshot(url)).toEqual(before);
});

/** The SQLSTATE and the constraint of the refusal; "allowed" when there was none. */
async function refusal(sql: string): Promise<string> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    return "allowed";
  } catch (error) {
    const { code, constraint } = error as pg.DatabaseError;
    return `${code} ${constraint}`;
  } finally {
    await client.query("ROLLBACK");
  }
}

const range = "23514 users_balance_range";
const noEntry = "23514 users_balance_has_entry";
const appendOnly = "23001 entries_append_only";
const keepHistory = "23001 users_keep_history";

describe("the range of a balance", () => {
  test.each([
    ["UPDATE users SET balance = -1 WHERE id = 1", range],
    ["UPDATE users SET balance = balance - 10001 WHERE id = 1", range],
    ["UPDATE users SET balance = balance - 10000", range],
    ["UPDATE users SET balance = 9007199254740992 WHERE id = 1", range],
    ["UPDATE users SET balance = 9223372036854775807 WHERE id = 1", range],
    ["UPDATE users SET balance = -1, version = 2 WHERE id = 1", range],
    ["INSERT INTO users (id, balance) VALUES (9, -1)", range],
    ["UPDATE users SET held = -1 WHERE id = 1", "23514 users_held_range"],
    ["UPDATE users SET held = 9007199254740991 WHERE id = 1", "23514 users_held_range"],
    ["UPDATE users SET version = -1 WHERE id = 1", "23514 users_version_range"],
    ["INSERT INTO users (id) VALUES (0)", "23514 users_id_range"],
    ["INSERT INTO users (id) VALUES (-1)", "23514 users_id_range"],
    ["INSERT INTO users (id) VALUES (9007199254740992)", "23514 users_id_range"],
    ["UPDATE users SET balance = NULL WHERE id = 1", "23502 undefined"],
    ["UPDATE users SET version = NULL WHERE id = 1", "23502 undefined"],
  ])("%s", async (sql, expected) => {
    expect(await refusal(sql)).toBe(expected);
  });

  test("is not escaped through a view that can be written", async () => {
    const sql = `CREATE VIEW v AS SELECT * FROM users;
                 UPDATE v SET balance = -1 WHERE id = 1`;
    expect(await refusal(sql)).toBe(range);
  });
});

describe("the tables of the caller's search_path", () => {
  const change = "UPDATE public.users SET balance = 999, version = 2 WHERE id = 1";
  const entry =
    "(user_id, version, amount, balance, kind, created_at) VALUES (1, 2, -9001, 999, 'adjustment', now())";

  test("a balance is matched with the journal under any, also the empty one of pg_restore", async () => {
    const empty = "SET LOCAL search_path = ''";
    expect(await refusal(`${empty}; ${change}`)).toBe(noEntry);
    expect(await refusal(`${empty}; INSERT INTO public.entries ${entry}; ${change}`)).toBe(
      "allowed",
    );
  });

  test("an entry in a temporary table of that name is none", async () => {
    const temporary = "CREATE TEMP TABLE entries (LIKE public.entries)";
    expect(await refusal(`${temporary}; INSERT INTO entries ${entry}; ${change}`)).toBe(noEntry);
  });

  test.each([
    ["public.apply_adjustment(1, -1, NULL) IS NOT NULL", true],
    ["(public.apply_operations('{1}', '{1}', '{-1}')).refusals::text", "[null]"],
    ["public.version_at(1, 'infinity')", 1],
  ])("%s finds them under the empty one", async (call, expected) => {
    await client.query("BEGIN; SET LOCAL search_path = ''");
    const { rows } = await client.query(`SELECT ${call} AS answer`);
    expect(rows).toEqual([{ answer: typeof expected === "number" ? String(expected) : expected }]);
  });
});

describe("a balance without its entry", () => {
  test.each([
    ["UPDATE users SET balance = 20000 WHERE id = 1"],
    ["UPDATE users SET balance = balance + 1"],
    ["UPDATE users SET balance = 0 WHERE id = 2"],
    ["UPDATE users SET balance = 9999, version = 2 WHERE id = 1"],
    ["UPDATE users SET version = 2 WHERE id = 1"],
    ["UPDATE users SET version = version + 1"],
    ["UPDATE users SET balance = 5 WHERE id = 3"],
    ["UPDATE users SET balance = 5, version = 1 WHERE id = 3"],
    ["INSERT INTO users (id, balance) VALUES (9, 5)"],
    ["INSERT INTO users (id, balance, version) VALUES (9, 5, 1)"],
    ["INSERT INTO users (id, version) VALUES (9, 1)"],
    ["INSERT INTO users (id, balance) VALUES (9, 0), (10, 0), (11, 5)"],
    [
      `INSERT INTO users (id, balance) VALUES (1, 20000)
         ON CONFLICT (id) DO UPDATE SET balance = excluded.balance`,
    ],
  ])("%s", async (sql) => {
    expect(await refusal(sql)).toBe(noEntry);
  });

  test("MERGE, which PostgreSQL 14 has not", async ({ skip }) => {
    const { rows } = await client.query("SHOW server_version_num");
    skip(Number(rows[0].server_version_num) < 150_000);
    const sql = `MERGE INTO users u USING (VALUES (1)) AS x (id) ON u.id = x.id
       WHEN MATCHED THEN UPDATE SET balance = 20000`;
    expect(await refusal(sql)).toBe(noEntry);
  });

  test("the message names the user and the hint the way", async () => {
    await expect(client.query("UPDATE users SET balance = 7 WHERE id = 2")).rejects.toMatchObject({
      message: "the balance of user 2 does not match the last entry of its journal",
      hint: "Change balances with balancectl adjust or the API; they write the entry too.",
      table: "users",
    });
  });

  test("an UPDATE of no row, or of nothing that matters, is allowed", async () => {
    expect(await refusal("UPDATE users SET balance = 1 WHERE id = 4")).toBe("allowed");
    expect(await refusal("UPDATE users SET updated_at = clock_timestamp()")).toBe("allowed");
  });
});

describe("the version", () => {
  test("back to an older entry and its balance", async () => {
    const sql = "UPDATE users SET balance = 300, version = 2 WHERE id = 2";
    expect(await refusal(sql)).toBe(noEntry);
  });

  test("back to nothing", async () => {
    const sql = "UPDATE users SET balance = 0, version = 0 WHERE id = 2";
    expect(await refusal(sql)).toBe(noEntry);
  });

  // The guard looks at the last entry alone: it stops slips, not somebody who forges entries.
  // Summing what lies between was measured at three times the cost of 500 users' changes.
  test.each([
    ["over a gap", "(1, 3, 5, 10005, 'adjustment', now())", "10005, version = 3"],
    ["not the sum", "(1, 2, 5, 999999, 'adjustment', now())", "999999, version = 2"],
  ])("with a forged entry (%s) is left to balancectl verify", async (_name, entry, values) => {
    const sql = `INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
                 VALUES ${entry};
                 UPDATE users SET balance = ${values} WHERE id = 1`;
    expect(await refusal(sql)).toBe("allowed");
  });

  test("a change by hand that does all of it right is allowed", async () => {
    const sql = `WITH entry AS (
                   INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
                   VALUES (1, 2, 5, 10005, 'adjustment', now())
                 )
                 UPDATE users SET balance = 10005, version = 2 WHERE id = 1`;
    expect(await refusal(sql)).toBe("allowed");
  });
});

describe("the journal", () => {
  test.each([
    ["UPDATE entries SET amount = 5"],
    ["UPDATE entries SET amount = amount + 1 WHERE user_id = 1"],
    ["UPDATE entries SET reference = 'harmless' WHERE user_id = 1 AND version = 1"],
    ["UPDATE entries SET balance = 0 WHERE false"],
    ["DELETE FROM entries"],
    ["DELETE FROM entries WHERE user_id = 1 AND version = 1"],
    ["DELETE FROM entries WHERE false"],
    ["TRUNCATE entries"],
    ["TRUNCATE entries CASCADE"],
    [
      `INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
       VALUES (1, 1, 5, 5, 'adjustment', now())
           ON CONFLICT (user_id, version) DO UPDATE SET amount = excluded.amount`,
    ],
    ["WITH gone AS (DELETE FROM entries RETURNING *) SELECT * FROM gone"],
  ])("%s", async (sql) => {
    expect(await refusal(sql)).toBe(appendOnly);
  });

  test.each([
    ["version", "(1, 0, 5, 5, 'adjustment', now())", "23514 entries_version_range"],
    ["amount", "(1, 2, 0, 10000, 'adjustment', now())", "23514 entries_amount_not_zero"],
    ["balance", "(1, 2, -10001, -1, 'adjustment', now())", "23514 entries_balance_range"],
    ["balance", "(1, 2, 5, 9007199254740992, 'adjustment', now())", "23514 entries_balance_range"],
    ["kind", "(1, 2, 5, 10005, 'gift', now())", "23514 entries_kind_known"],
    ["key", "(1, 1, 5, 10005, 'adjustment', now())", "23505 entries_pkey"],
  ])("an entry with a wrong %s: %s", async (_column, values, expected) => {
    const sql = `INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
                 VALUES ${values}`;
    expect(await refusal(sql)).toBe(expected);
  });

  test("a refusal says what to do instead", async () => {
    await expect(client.query("DELETE FROM entries")).rejects.toMatchObject({
      message: "entries are append-only: DELETE is refused",
      hint: "Correct a balance with a further entry, for example: balancectl adjust.",
      table: "entries",
    });
  });
});

describe("holds", () => {
  const onlyEnd = "23001 holds_only_end";
  const heldHasEntries = "23514 users_held_has_entries";
  const open = "'00000000-0000-4000-8000-000000000001'";
  const ended = "'00000000-0000-4000-8000-000000000002'";
  /** User 4: 1,000 and two holds of 10, of which one was voided. */
  beforeAll(async () => {
    await client.query("SELECT apply_operations('{4}', '{1}', '{1000}', '{opening}')");
    for (const id of [open, ended]) {
      await client.query(
        `SELECT apply_operations('{4}', '{1}', '{10}', '{hold}', NULL, ARRAY[${id}]::uuid[])`,
      );
    }
    await client.query(
      `SELECT apply_operations('{4}', '{1}', '{NULL}', '{void}', NULL, ARRAY[${ended}]::uuid[])`,
    );
    before = await snapshot(url);
  });

  test.each([
    ["UPDATE users SET held = 5000 WHERE id = 1", heldHasEntries],
    ["UPDATE users SET held = 0 WHERE id = 4", heldHasEntries],
    ["UPDATE users SET held = held + 1", heldHasEntries],
    ["INSERT INTO users (id, held) VALUES (9, 1)", heldHasEntries],
    [`UPDATE holds SET amount = 5000 WHERE id = ${open}`, onlyEnd],
    [`UPDATE holds SET user_id = 1 WHERE id = ${open}`, onlyEnd],
    [`UPDATE holds SET id = gen_random_uuid() WHERE id = ${open}`, onlyEnd],
    [`UPDATE holds SET expires_at = now() WHERE id = ${open}`, onlyEnd],
    [`UPDATE holds SET created_at = now() WHERE id = ${open}`, onlyEnd],
    [
      `UPDATE holds SET state = 'voided', closed_at = now(), amount = 9 WHERE id = ${open}`,
      onlyEnd,
    ],
    [`UPDATE holds SET state = 'open', closed_at = NULL WHERE id = ${ended}`, onlyEnd],
    [`UPDATE holds SET state = 'expired' WHERE id = ${ended}`, onlyEnd],
    [`DELETE FROM holds WHERE id = ${ended}`, onlyEnd],
    ["DELETE FROM holds WHERE false", onlyEnd],
    ["TRUNCATE holds", onlyEnd],
    [
      "INSERT INTO holds (user_id, id, amount, created_at) VALUES (4, gen_random_uuid(), 10, now())",
      "23514 holds_have_entry",
    ],
    // Each is right, and they are not of one amount.
    [
      `INSERT INTO entries (user_id, version, amount, balance, created_at, kind)
       VALUES (4, 5, -1, 989, now(), 'hold');
       UPDATE users SET balance = 989, version = 5, held = 12 WHERE id = 4`,
      heldHasEntries,
    ],
  ])("%s", async (sql, expected) => {
    expect(await refusal(sql)).toBe(expected);
  });

  test("what is held is no way to mint: 4,990 by a hold that grew", async () => {
    await client.query("BEGIN");
    await expect(
      client.query(`UPDATE holds SET amount = 5000 WHERE id = ${open}`),
    ).rejects.toMatchObject({ hint: expect.stringContaining("capture or void") });
  });
});

describe("idempotency keys", () => {
  test.each([
    ["UPDATE idempotency_keys SET balance = 0"],
    ["UPDATE idempotency_keys SET fingerprint = 'x' WHERE key = 'k'"],
    ["TRUNCATE idempotency_keys"],
  ])("%s", async (sql) => {
    expect(await refusal(sql)).toBe("23001 idempotency_keys_keep_outcome");
  });
});

describe("users", () => {
  test.each([
    ["DELETE FROM users"],
    ["DELETE FROM users WHERE id = 3"],
    ["DELETE FROM users WHERE false"],
    ["TRUNCATE users"],
    ["TRUNCATE users CASCADE"],
    ["TRUNCATE users, idempotency_keys, holds"],
    ["UPDATE users SET id = 5 WHERE id = 1"],
    ["UPDATE users SET id = id + 100"],
    ["UPDATE users SET id = 4 WHERE id = 3"],
  ])("%s", async (sql) => {
    expect(await refusal(sql)).toBe(keepHistory);
  });

  test("a second one under the same id", async () => {
    expect(await refusal("INSERT INTO users (id) VALUES (1)")).toBe("23505 users_pkey");
  });

  test("one without money needs no entry", async () => {
    expect(await refusal("INSERT INTO users (id) VALUES (9)")).toBe("allowed");
  });
});

test("every primary key and unique constraint begins with the user's id", async () => {
  const { rows } = await client.query(
    `SELECT c.relname AS table,
            (SELECT attname FROM pg_attribute
              WHERE attrelid = c.oid AND attnum = i.indkey[0]) AS first
       FROM pg_index i
       JOIN pg_class c ON c.oid = i.indrelid
      WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
        -- What is not on the way of a change.
        AND c.relname NOT IN ('schema_migrations', 'batch_receipts', 'actors', 'tokens', 'access_state', 'audit')
      ORDER BY 1`,
  );
  expect(rows).toEqual([
    { table: "entries", first: "user_id" },
    { table: "holds", first: "user_id" },
    { table: "idempotency_keys", first: "user_id" },
    { table: "users", first: "id" },
  ]);
});

test("updates of a balance stay in their page (HOT): no index on what changes", async () => {
  const { rows } = await client.query(
    `SELECT a.attname FROM pg_index i
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      WHERE i.indrelid = 'users'::regclass`,
  );
  expect(rows).toEqual([{ attname: "id" }]);
});

test("user 1 begins with 10000 and the entry that accounts for it", async () => {
  const { rows } = await client.query(
    `SELECT u.id::int, u.balance::int, u.version::int,
            e.amount::int, e.balance::int AS after, e.kind
       FROM users u JOIN entries e ON e.user_id = u.id AND e.version = 1
      WHERE u.id = 1`,
  );
  expect(rows).toEqual([
    { id: 1, balance: 10_000, version: 1, amount: 10_000, after: 10_000, kind: "opening" },
  ]);
});

test("afterwards the journal adds up", async () => {
  expect(await journalFindings(url)).toEqual([]);
});
