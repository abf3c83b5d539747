/** The role that may serve: what it may not, tried by hand. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grantRole, guardsOf } from "../../src/database/grants.ts";
import { migrateDown, migrateUp } from "../../src/database/migrator.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";

const url = await createTestDatabase();
const role = await createRole();
const asRole = as(role);

async function createRole(): Promise<string> {
  const name = `balancectl_test_${randomBytes(4).toString("hex")}`;
  await psql(url, `CREATE ROLE ${name} LOGIN PASSWORD 'x'`);
  afterFile(async () => {
    await psql(url, `DROP OWNED BY ${name}`);
    await psql(url, `DROP ROLE ${name}`);
  });
  return name;
}

function as(name: string, database = url): string {
  const other = new URL(database);
  other.username = name;
  other.password = "x";
  return other.href;
}

beforeAll(async () => {
  await grantRole(url, role, "os:test");
});

test("says that it cannot go round the guards, and the owner's that it could", async () => {
  expect(await guardsOf(asRole)).toBe(
    `kept by the database; the role ${role} cannot go round them`,
  );
  expect(await guardsOf(url)).toMatch(
    /^the role \S+ is a superuser and could switch them off: `balancectl migrate --grant ROLE` makes one that cannot$/,
  );
});

test.each([
  "UPDATE users SET balance = balance + 1 WHERE id = 1",
  "INSERT INTO entries (user_id, version, amount, balance, kind, created_at) VALUES (1, 2, 1, 10001, 'adjustment', now())",
  "DELETE FROM entries",
  "TRUNCATE users, entries",
  "ALTER TABLE users DISABLE TRIGGER ALL",
  "DROP TRIGGER users_balance_has_entry_on_update ON users",
  "SET session_replication_role = replica",
  "INSERT INTO users (id, balance, version) VALUES (7, 0, 0)",
  "INSERT INTO idempotency_keys (user_id, key, fingerprint, kind, created_at) VALUES (1, 'k', 'f', 'adjustment', now())",
  "DELETE FROM idempotency_keys",
  "UPDATE holds SET amount = 5",
  "INSERT INTO tokens (id, digest, client, scope, created_by) VALUES ('a', 'b', 'c', 'admin', 'd')",
  "UPDATE access_state SET closed_at = NULL",
  "DELETE FROM audit",
  "SELECT setval('users_id_seq', 1)",
  "SELECT close_due_holds('{1}', now() + interval '1 year')",
  "CREATE FUNCTION array_to_json(text[]) RETURNS json LANGUAGE sql AS 'SELECT NULL::json'",
  "CREATE TABLE mine (id int)",
  "SELECT apply_operations('{1}', '{1}', '{1}', p_now => now() + interval '1 year')",
  "DELETE FROM batch_receipts",
])("may not: %s", async (sql) => {
  const before = await psql(url, "SELECT * FROM users ORDER BY id");
  await expect(psql(asRole, sql)).rejects.toMatchObject({ code: "42501" });
  expect(await psql(url, "SELECT * FROM users ORDER BY id")).toEqual(before);
});

test("a table and an operator of its own, earlier in its search_path, change nothing", async () => {
  const schema = `mine_${randomBytes(4).toString("hex")}`;
  await psql(url, `CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
  afterFile(() => psql(url, `DROP SCHEMA ${schema} CASCADE`));
  const [answer] = await psql<{ balances: number[] }>(
    asRole,
    `SET search_path = ${schema}, public;
     CREATE TABLE users (LIKE public.users INCLUDING DEFAULTS);
     INSERT INTO users (id, balance, version) VALUES (1, 999999, 1);
     CREATE FUNCTION more(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
     CREATE OPERATOR >= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = more);
     SET search_path = ${schema}, pg_catalog, public`,
  ).then(() =>
    psql<{ balances: number[] }>(
      `${asRole}?options=-csearch_path%3D${schema},pg_catalog,public`,
      "SELECT balances FROM public.apply_operations('{1}', '{1}', '{-10001}')",
    ),
  );
  expect(answer?.balances).toEqual([10_000]);
});

describe("is not granted", () => {
  test("to a superuser, or to who writes by hand by another way", async () => {
    const boss = await createRole();
    await psql(url, `ALTER ROLE ${boss} SUPERUSER`);
    await expect(grantRole(url, boss, "os:test")).rejects.toThrow(
      `The role ${boss} is a superuser and could switch them off; nothing was granted`,
    );
    const member = await createRole();
    const writers = await createRole();
    await psql(url, `GRANT UPDATE ON users TO ${writers}; GRANT ${writers} TO ${member}`);
    await expect(grantRole(url, member, "os:test")).rejects.toThrow(
      `The role ${member} may write to users by hand; nothing was granted`,
    );
    expect(
      await psql(url, "SELECT has_table_privilege($1, 'entries', 'SELECT') AS may", [member]),
    ).toEqual([{ may: false }]);
  });

  test("where others may make functions beside ours", async () => {
    const open = await createTestDatabase();
    await psql(open, "GRANT CREATE ON SCHEMA public TO PUBLIC");
    await expect(grantRole(open, role, "os:test")).rejects.toThrow(
      "Others may make functions in the schema public, and could make some that ours would call: " +
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; or use a schema of its own (BALANCECTL_SCHEMA)",
    );
  });
});

test("what it had of ours before is taken from it; what a migration makes anew it is given again", async () => {
  const before = await createRole();
  const database = await createTestDatabase();
  await psql(database, `GRANT ALL ON users, entries TO ${before}`);
  await grantRole(database, before, "os:test");
  await migrateDown(database, "0009-access");
  await psql(database, `GRANT EXECUTE ON FUNCTION apply_operations TO ${before}`);
  await migrateUp(database, { by: "os:test" });
  const [answer] = await psql<{ balances: number[] }>(
    as(before, database),
    "SELECT balances FROM apply_operations('{1}', '{1}', '{-2}')",
  );
  expect(answer?.balances).toEqual([9_998]);
  const lines = await psql(database, "SELECT action, actor FROM audit ORDER BY id");
  expect(lines).toEqual([{ action: "migrate.up", actor: "os:test" }]);
});

afterAll(async () => {
  expect((await psql(url, "SELECT balance FROM users WHERE id = 1"))[0]).toEqual({
    balance: "10000",
  });
});
