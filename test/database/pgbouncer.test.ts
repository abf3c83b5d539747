/** Through PgBouncer as Debian ships it: what works in which mode, and what is said of the rest. */
import { describe, expect, test } from "vitest";
import { connectDatabase, type Database } from "../../src/database/connection.ts";
import { ensureDatabase } from "../../src/database/ensure-database.ts";
import { migrateUp } from "../../src/database/migrator.ts";
import { createLedger, type Ledger } from "../../src/ledger/ledger.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql, testBounds } from "../support/database/database.ts";
import { noPgBouncer, startPgBouncer } from "../support/database/pgbouncer.ts";
import { runHere } from "../support/server/command-line.ts";
import { startServer } from "../support/server/program.ts";

function open(url: string): { database: Database; ledger: Ledger } {
  const database = connectDatabase(url, testBounds);
  afterFile(() => database.close());
  return { database, ledger: createLedger(database, { bounds: testBounds }) };
}

/** 400 changes at once, from two processes' worth of pools. */
async function load(url: string): Promise<void> {
  const two = [open(url), open(url)];
  const outcomes = await Promise.all(
    Array.from({ length: 400 }, (_, n) => two[n % 2]?.ledger.apply(adjustment(1, -2))),
  );
  expect(outcomes.filter((one) => one?.refusal === null).length).toBe(400);
  expect((await two[0]?.ledger.user(1))?.balance).toBe(9_200);
}

const lockTimeout = { name: "lock_timeout", text: "SHOW lock_timeout" };
const advisory =
  "SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

const why = noPgBouncer === undefined ? "" : ` (${noPgBouncer})`;

describe.skipIf(noPgBouncer)(`in session mode${why}`, () => {
  test("all works as without it, the timeouts too", async () => {
    const direct = await createTestDatabase({ template: false });
    const url = await startPgBouncer(direct, "session");
    await ensureDatabase(url);
    expect((await migrateUp(url)).done.length).toBeGreaterThan(0);
    expect(await psql(direct, advisory)).toEqual([]);
    await load(url);
    expect(await open(url).database.writer(0).query(lockTimeout, [])).toBe("10ms");
    expect((await verify(url)).ok).toBe(true);
    const server = await startServer({ DATABASE_URL: url });
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect([await server.stop(), server.stderr()]).toEqual([0, ""]);
  });

  test("a schema of its own", async () => {
    const direct = await createTestDatabase({ template: false });
    const env = { DATABASE_URL: await startPgBouncer(direct, "session"), BALANCECTL_SCHEMA: "own" };
    expect((await runHere(["migrate"], env)).code).toBe(0);
    expect((await runHere(["adjust", "1", "-1"], env)).stdout).toContain("9,999");
    expect(await psql(direct, "SELECT balance FROM own.users WHERE id = 1")).toEqual([
      { balance: "9999" },
    ]);
  });
});

describe.skipIf(noPgBouncer)(`in transaction mode${why}`, () => {
  test("changes and reads work, without names, and no setting is left with somebody else", async () => {
    const direct = await createTestDatabase();
    const url = await startPgBouncer(direct, "transaction");
    await load(url);
    const one = open(url);
    expect(await one.database.writer(0).query(lockTimeout, [])).toBe("0");
    const named = { name: "named", text: "SELECT count(*) FROM pg_prepared_statements" };
    expect(await one.database.writer(0).query(named, [])).toBe("0");
    expect((await verify(direct)).ok).toBe(true);
  });

  test("migrate and what else needs a session is refused, and leaves no lock", async () => {
    const direct = await createTestDatabase({ template: false });
    const url = await startPgBouncer(direct, "transaction");
    for (let n = 0; n < 3; n += 1) {
      const { code, stderr } = await runHere(["migrate"], { DATABASE_URL: url });
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(/a pooler in transaction mode \(PgBouncer\).*past it/),
      ]);
      expect(await psql(direct, advisory)).toEqual([]);
    }
  });

  test("serve says what is missing, and that is all that is missing", async () => {
    const direct = await createTestDatabase();
    const url = await startPgBouncer(direct, "transaction");
    const server = await startServer({ DATABASE_URL: url }, ["--no-migrate"]);
    const put = await fetch(`${server.url}/api/users/1/balance`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ amount: -2 }),
    });
    expect(put.status).toBe(200);
    expect(await server.stop()).toBe(0);
    const said = server.stderr().trim().split("\n");
    expect(said.map((line) => JSON.parse(line).msg)).toEqual([
      expect.stringMatching(/transaction mode.*lock_timeout.*statement_timeout.*ALTER ROLE/s),
    ]);
    expect(await psql(direct, advisory)).toEqual([]);
  });
});
