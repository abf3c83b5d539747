/** What a clock may do and what the journal makes of it: the times of a user never go back. */
import { expect, onTestFinished, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database.ts";

const databaseUrl = await createTestDatabase();
const { apply, client } = await openFunction(databaseUrl);

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
  // b rides with a and shares its time.
  await apply(
    [
      { user: b, amount: 1 },
      { user: a, amount: 1 },
    ],
    { now: "2040-01-01T00:00:07Z" },
  );
  // The short way too: its clock is the database's, which is decades behind.
  await apply([{ user: b, amount: 1 }]);
  const ten = "2040-01-01T00:00:10.000Z";
  expect(await stamps(a)).toEqual([ten, ten, ten]);
  expect(await stamps(b)).toEqual([ten, ten]);
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
    SET search_path = slow, public, pg_catalog`);
  onTestFinished(async () => {
    await client.query("RESET search_path; DROP SCHEMA slow CASCADE");
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
