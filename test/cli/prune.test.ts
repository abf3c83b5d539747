import { expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { commandLine, connecting, usageHint } from "../support/server/command-line.ts";

const databaseUrl = await createTestDatabase();
const cli = commandLine(databaseUrl);
const removing = `${connecting}Removing old idempotency keys\n`;

/** Keys of these ages in days, a minute more, as many of each. */
async function withKeys(ages: readonly number[], count: number): Promise<void> {
  await psql(databaseUrl, "DELETE FROM idempotency_keys");
  await psql(
    databaseUrl,
    `INSERT INTO idempotency_keys (user_id, key, fingerprint, kind, amount, balance, version, created_at)
     SELECT 1, 'age-' || age || '-' || n, 'f', 'adjustment', 1, 1, 1,
            clock_timestamp() - age * interval '1 day' - interval '1 minute'
       FROM unnest($1::int[]) AS age, generate_series(1, $2) AS n`,
    [ages, count],
  );
}

async function ages(): Promise<Record<string, number>> {
  const rows = await psql(
    databaseUrl,
    "SELECT split_part(key, '-', 2) AS age, count(*)::int AS count FROM idempotency_keys GROUP BY 1",
  );
  return Object.fromEntries(rows.map(({ age, count }) => [age, count]));
}

test("removes what is older than the settings keep, step after step", async () => {
  await withKeys([0, 29, 30, 31, 400], 4_000);
  await cli.expectRun(["prune"], {
    stdout: "Removed 12,000 idempotency keys older than 30 days\n",
    stderr: removing,
  });
  expect(await ages()).toEqual({ 0: 4_000, 29: 4_000 });
  await cli.expectRun(["prune"], {
    stdout: "Removed 0 idempotency keys older than 30 days\n",
    stderr: removing,
  });
});

test("--days says how old, and so does the setting", async () => {
  await withKeys([0, 1, 7, 30, 31], 3);
  expect(await cli.json("prune", "--days", "31")).toEqual({ removed: 3, days: 31 });
  const week = commandLine(databaseUrl, { BALANCECTL_IDEMPOTENCY_DAYS: "7" });
  expect(await week.json("prune")).toEqual({ removed: 6, days: 7 });
  expect(await ages()).toEqual({ 0: 3, 1: 3 });
  expect(await week.json("prune", "--days", "1")).toEqual({ removed: 3, days: 1 });
  expect(await ages()).toEqual({ 0: 3 });
});

test("wrong usage ends with exit code 2", async () => {
  const rule = "It must be a whole number from 1 to 3650.";
  for (const days of ["0", "x", "3651"]) {
    await cli.expectRun(["prune", "--days", days], {
      code: 2,
      stderr: `error: option '--days <days>' argument '${days}' is invalid. ${rule}\n${usageHint}`,
    });
  }
});
