/** BALANCECTL_SCHEMA: ledgers beside each other, and beside another program, in one database. */
import { expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { runHere } from "../support/server/command-line.ts";
import { startServer } from "../support/server/program.ts";

const put = (url: string, amount: number) =>
  exchange<{ balance: number }>(url, {
    ...{ method: "PUT", path: "/api/users/1/balance", body: JSON.stringify({ amount }) },
    headers: { "content-type": "application/json", "idempotency-key": `k${amount}` },
  });

test("two ledgers in one database know nothing of each other", async () => {
  const url = await createTestDatabase({ template: false });
  const envs = ["one", "two"].map((schema) => ({ DATABASE_URL: url, BALANCECTL_SCHEMA: schema }));
  const [one, two] = await Promise.all(
    envs.map((env, n) => startServer(env, n === 0 ? [] : ["--workers", "2"])),
  );
  expect(one?.hello["database"]).toMatch(/, its schema "one"$/);
  expect((await put(one?.url as string, -1_000)).body.data?.balance).toBe(9_000);
  expect((await put(two?.url as string, -1)).body.data?.balance).toBe(9_999);
  for (const [server, balance] of [[one, 9_000] as const, [two, 9_999] as const]) {
    const { body } = await exchange<{ balance: number }>(server?.url as string, {
      path: "/api/users/1",
    });
    expect(body.data?.balance).toBe(balance);
    const ready = await exchange(server?.url as string, { path: "/readyz" });
    expect(ready.status).toBe(200);
  }
  for (const env of envs) {
    const { code, stdout } = await runHere(["verify"], env);
    expect([code, stdout]).toEqual([0, expect.stringContaining("everything agrees")]);
  }
  // The server of the one keeps nobody from reverting the other.
  expect(await two?.stop()).toBe(0);
  const down = await runHere(["migrate", "down", "--to", "0", "--yes"], envs[1]);
  expect([down.code, down.stderr]).toEqual([0, expect.anything()]);
  expect((await runHere(["migrate", "down", "--yes"], envs[0])).code).toBe(1);
  expect((await put(one?.url as string, -2)).body.data?.balance).toBe(8_998);
  const tables = await psql(
    url,
    "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('users', 'entries', 'holds')",
  );
  expect(tables).toEqual([{ schemaname: "one" }]);
});

test("another program's users: nothing is changed, and the setting that keeps the ledger apart is named", async () => {
  const url = await createTestDatabase({ template: false });
  await psql(url, "CREATE TABLE users (id bigint, email text)");
  const refused = await runHere(["migrate"], { DATABASE_URL: url });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/"users" already exists.*BALANCECTL_SCHEMA=balancectl/s);
  const tables =
    "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
  expect(await psql(url, tables)).toEqual([{ tablename: "users" }]);
  const env = { DATABASE_URL: url, BALANCECTL_SCHEMA: "balancectl" };
  expect((await runHere(["migrate"], env)).code).toBe(0);
  const { stdout } = await runHere(["adjust", "1", "-2"], env);
  expect(stdout).toBe("User 1: 10,000 → 9,998 (-2)\n");
  expect(await psql(url, "SELECT count(*)::int AS n FROM public.users")).toEqual([{ n: 0 }]);
});

test("a schema that may not be made is named", async () => {
  const url = new URL(await createTestDatabase({ template: false }));
  const role = `balancectl_test_${process.pid}`;
  await psql(url.href, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  const { href } = url;
  afterFile(() => psql(href, `DROP ROLE ${role}`));
  url.username = role;
  url.password = "x";
  const env = { DATABASE_URL: url.href, BALANCECTL_SCHEMA: "own" };
  const { code, stderr } = await runHere(["migrate"], env);
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(
      /Schema "own" does not exist and could not be created: permission denied/,
    ),
  ]);
});
