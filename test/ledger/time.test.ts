/** What a clock may do and what the journal makes of it: the times of a user never go back. */
import { describe, expect, onTestFinished, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";

const databaseUrl = await createTestDatabase();
const { apply, applyFully, client } = await openFunction(databaseUrl);

let lastId = 1_000;
async function open(...balances: number[]): Promise<number[]> {
  const steps = balances.map((amount): Step => ({ user: ++lastId, kind: "opening", amount }));
  await apply(steps);
  return steps.map(({ user }) => user);
}

test("times follow versions, also when the clock goes back", async () => {
  const [a = 0, b = 0] = await open(10, 10);
  const stamps = async (id: number) => {
    const found = await psql<{ at: Date }>(
      databaseUrl,
      "SELECT created_at AS at FROM entries WHERE user_id = $1 ORDER BY version",
      [id],
    );
    return found.slice(1).map(({ at }) => at.toISOString());
  };
  await apply([{ user: a, amount: 1 }], { now: "2040-01-01T00:00:10Z" });
  await apply([{ user: a, amount: 1 }], { now: "2040-01-01T00:00:05Z" });
  // b rides with a, and has a time of its own: a's future is not everybody's.
  await apply(
    [
      { user: b, amount: 1 },
      { user: a, amount: 1 },
      { user: b, to: a, kind: "transfer", amount: 1, id: uuid(2) },
    ],
    { now: "2040-01-01T00:00:07Z" },
  );
  // The short way too: its clock is the database's, which is decades behind.
  await apply([{ user: b, amount: 1 }]);
  const ten = "2040-01-01T00:00:10.000Z";
  const seven = "2040-01-01T00:00:07.000Z";
  expect(await stamps(a)).toEqual([ten, ten, ten, ten]);
  expect(await stamps(b)).toEqual([seven, seven, seven]);
});

/** What is wrong with a user's journal beyond that it is from the future. */
async function findings(userId: number): Promise<readonly object[]> {
  const { findings: all } = await verify(databaseUrl, { userId });
  return all.filter(({ check }) => check !== "clock");
}

describe("a user whose last time is in the future", () => {
  const [future, now] = ["2060-01-01T00:00:00Z", "2050-01-01T00:00:00Z"];
  const later = (seconds: number) => new Date(Date.parse(now) + seconds * 1_000);

  test("does not take everybody's keys with it", async () => {
    const [ahead = 0, other = 0] = await open(10, 10);
    await apply([{ user: ahead, amount: 1 }], { now: future });
    const keyed: Step = { user: other, amount: -1, key: "order-17" };
    await apply([keyed], { now });
    await apply([{ user: ahead, amount: 1, key: "order-18" }], { now: later(1) });
    const [again] = await applyFully([keyed], { now: later(2) });
    expect(again).toMatchObject({ replay: true, balance: 9 });
    const kept = await psql<{ at: Date }>(
      databaseUrl,
      "SELECT created_at AS at FROM idempotency_keys WHERE key = 'order-18'",
    );
    expect(kept).toEqual([{ at: later(1) }]);
  });

  test("has holds that end in order, also when the clock has come to that time", async () => {
    const [user = 0] = await open(10);
    await apply([{ user, amount: 1 }], { now: future });
    await apply([{ user, kind: "hold", amount: 4, id: uuid(4), lifetime: 2 }], { now });
    await apply([{ user, kind: "touch" }], { now: "2060-01-01T00:00:01Z" });
    expect(await findings(user)).toEqual([]);
  });

  test("has holds that end when their time is over by the clock", async () => {
    const [user = 0] = await open(10);
    await apply([{ user, amount: 1 }], { now: future });
    await apply([{ user, kind: "hold", amount: 4, id: uuid(3), lifetime: 2 }], { now });
    const [before] = await apply([{ user, kind: "touch" }], { now: later(1) });
    const [due] = await apply([{ user, kind: "touch" }], { now: later(2) });
    expect([before?.balance, due?.balance]).toEqual([7, 11]);
    const ended = await psql(databaseUrl, "SELECT closed_at, expires_at FROM holds WHERE id = $1", [
      uuid(3),
    ]);
    expect(ended).toEqual([{ closed_at: later(2), expires_at: later(2) }]);
    // Times of its entries follow versions all the same.
    expect(await findings(user)).toEqual([]);
  });
});

test("a plain adjustment alone reads its clock once, so no entry is later than a hold that is due", async () => {
  const [user = 0] = await open(10);
  await apply([{ user, kind: "hold", amount: 4, id: uuid(1), lifetime: 60 }], {
    now: "2040-01-01T00:00:00Z",
  });
  // A clock in place of the database's own: a second before the hold is due, then a second after.
  await client.query(`
    CREATE SCHEMA slow;
    CREATE SEQUENCE slow.readings;
    CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
      $$ SELECT timestamptz '2040-01-01T00:00:59Z' + (nextval('slow.readings') - 1) * interval '2 s' $$;
    ALTER FUNCTION apply_adjustment SET search_path = slow, public, pg_catalog;
    ALTER FUNCTION apply_operations SET search_path = slow, public, pg_catalog`);
  onTestFinished(async () => {
    await client.query(`
      ALTER FUNCTION apply_adjustment SET search_path = public, pg_temp;
      ALTER FUNCTION apply_operations SET search_path = public, pg_temp;
      DROP SCHEMA slow CASCADE`);
  });
  await apply([{ user, amount: -1 }]);
  await apply([{ user, kind: "touch" }], { now: "2040-01-01T00:02:00Z" });
  const found = await psql<{ kind: string; at: Date }>(
    databaseUrl,
    "SELECT kind, created_at AS at FROM entries WHERE user_id = $1 ORDER BY version OFFSET 2",
    [user],
  );
  expect(found.map(({ kind, at }) => [kind, at.toISOString()])).toEqual([
    ["adjustment", "2040-01-01T00:00:59.000Z"],
    ["expiry", "2040-01-01T00:01:00.000Z"],
  ]);
});
