/** Failures that the database itself reports: what is answered, whether to come again, and what is true. */
import { describe, expect, test } from "vitest";
import { failures } from "../../src/database/failures.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { createApiClient } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
await psql(
  databaseUrl,
  `CREATE TABLE injected (state text);
   CREATE FUNCTION fail_as_told() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE
     told text := (SELECT state FROM injected);
   BEGIN
     IF told IS NOT NULL THEN RAISE EXCEPTION 'injected' USING ERRCODE = told; END IF;
     RETURN NULL;
   END $$;
   CREATE TRIGGER fail_as_told AFTER INSERT ON entries EXECUTE FUNCTION fail_as_told()`,
);
const { url } = await serveInProcess(databaseUrl, { lockTimeoutMs: 50 });
const client = createApiClient(url);
const second = await client.openUser(10);

const unavailable = Object.keys(failures)
  .filter((state) => failures[state]?.code !== "INTERNAL")
  .map((state) => state.padEnd(5, "0"));

/** Those whose answer is then looked for, or that are tried again, as nothing was the matter with them. */
const triedAgain = /^(08...|40003|57P01|57P02)$/;
const more = ["08006", "08P01", "28000", "40001", "53200", "55000", "55006", "58P01"];

test.each([...new Set([...unavailable, ...more])])(
  "%s: 503, nothing was changed, come again",
  async (state) => {
    // One that 55P03 is said of is kept apart from others for a while.
    const payer = await client.openUser(100);
    await psql(databaseUrl, `INSERT INTO injected VALUES ('${state}')`);
    const answers = await Promise.all([
      client.put(`/api/users/${payer}/balance`, { amount: -2 }),
      client.put(
        `/api/users/${payer}/balance`,
        { amount: -2 },
        { "idempotency-key": `key-${state}` },
      ),
      client.post("/api/transfers", { from: payer, to: second, amount: 2 }),
    ]);
    await psql(databaseUrl, "DELETE FROM injected");
    const [first] = answers;
    for (const { status, headers, body } of answers) {
      expect([status, headers.get("retry-after"), body.error]).toEqual([
        503,
        "1",
        {
          code: state === "55P03" ? "ACCOUNT_LOCKED" : "DATABASE_UNAVAILABLE",
          message: expect.stringMatching(/; nothing was changed(, try again later)?$/),
          applied: "no",
        },
      ]);
    }
    if (triedAgain.test(state)) expect(first?.body.error?.message).toContain("lost twice");
    else {
      const row = failures[state] ?? failures[state.slice(0, 2)];
      expect(first?.body.error?.message).toContain(row?.words);
    }
    expect(await client.balanceOf(payer)).toBe(100);
  },
);

test.each(["XX000", "22012", "23514", "0A000", "P0001"])(
  "%s is a fault: 500, and nothing was changed",
  async (state) => {
    await psql(databaseUrl, `INSERT INTO injected VALUES ('${state}')`);
    const { status, headers, body } = await client.put("/api/users/1/balance", { amount: -2 });
    await psql(databaseUrl, "DELETE FROM injected");
    expect([status, headers.get("retry-after"), body.error]).toEqual([
      500,
      null,
      { code: "INTERNAL", message: "Internal error; nothing was changed", applied: "no" },
    ]);
    expect(await client.balanceOf(1)).toBe(10_000);
  },
);

test("a schema that is gone", async () => {
  await psql(databaseUrl, "ALTER TABLE entries RENAME TO entries_elsewhere");
  const gone = await client.put("/api/users/1/balance", { amount: -2 });
  await psql(databaseUrl, "ALTER TABLE entries_elsewhere RENAME TO entries");
  expect([gone.status, gone.body.error?.message]).toEqual([
    503,
    "The database does not have the schema of this balancectl (`balancectl migrate` brings it); nothing was changed",
  ]);
  expect((await client.put("/api/users/1/balance", { amount: -2 })).status).toBe(200);
});

describe("troubles that pass", () => {
  test.each(["40001", "40P01"])(
    "%s four times: the change is made, and nobody hears of it",
    async (state) => {
      await psql(databaseUrl, `INSERT INTO injected VALUES ('${state}')`);
      // Of a transaction that is rolled back nothing stays but what a sequence has given out.
      await psql(
        databaseUrl,
        `CREATE SEQUENCE IF NOT EXISTS attempts;
       CREATE OR REPLACE FUNCTION fail_as_told() RETURNS trigger LANGUAGE plpgsql AS $$
       DECLARE
         told text := (SELECT state FROM injected);
       BEGIN
         IF told IS NOT NULL AND nextval('attempts') < 6 THEN
           RAISE EXCEPTION 'injected' USING ERRCODE = told;
         END IF;
         RETURN NULL;
       END $$`,
      );
      const before = await client.balanceOf(1);
      const { status, body } = await client.put<object>("/api/users/1/balance", { amount: -2 });
      const [row] = await psql(databaseUrl, "SELECT last_value::int AS attempts FROM attempts");
      await psql(databaseUrl, "DELETE FROM injected; ALTER SEQUENCE attempts RESTART");
      expect([status, body.data]).toMatchObject([200, { balance: before - 2 }]);
      expect(row).toEqual({ attempts: 6 });
    },
  );

  test("a batch that is cancelled: each of it alone, and only the slow one fails", async () => {
    await psql(
      databaseUrl,
      `CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         PERFORM pg_sleep(60) FROM written WHERE amount = 13;
         RETURN NULL;
       END $$;
       CREATE TRIGGER be_slow AFTER INSERT ON entries REFERENCING NEW TABLE AS written
         EXECUTE FUNCTION be_slow()`,
    );
    const impatient = await serveInProcess(databaseUrl, { statementTimeoutMs: 1_000, lanes: 1 });
    const changes = [2, 13, 3].map((amount) => impatient.ledger.apply(adjustment(second, amount)));
    const settled = await Promise.allSettled(changes);
    await psql(databaseUrl, "DROP TRIGGER be_slow ON entries");
    expect(settled).toMatchObject([
      { status: "fulfilled", value: { balance: 12 } },
      {
        status: "rejected",
        reason: {
          code: "DATABASE_UNAVAILABLE",
          message:
            "The database took too long and the statement was cancelled; nothing was changed",
        },
      },
      { status: "fulfilled", value: { balance: 15 } },
    ]);
  });
});
