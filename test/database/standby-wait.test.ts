/** A synchronous standby that is away: PostgreSQL waits, and a wait that is cancelled is no success. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";
import { migrateUp } from "../../src/database/migrator.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { afterFile } from "../support/cleanup.ts";
import { psql, testBounds } from "../support/database/database.ts";

// A server of its own: whether there is a standby to wait for is said for all sessions at once.
const dataDir = join(tmpdir(), `balancectl-test-${randomBytes(6).toString("hex")}`);
const { url, close } = await openEmbeddedPostgres({ dataDir });
afterFile(async () => {
  await close();
  await rm(dataDir, { recursive: true, force: true });
});
await migrateUp(url);

const bounds = { ...testBounds, lanes: 1, statementTimeoutMs: 1_500 };
const database = connectDatabase(url, bounds);
afterFile(() => database.close());
const ledger = createLedger(database, { bounds });

const local = "SET synchronous_commit = local;";

async function standby(names: string): Promise<void> {
  await psql(url, `ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await psql(url, `${local} SELECT pg_reload_conf()`);
  const shown = async () =>
    (
      await psql<{ names: string }>(
        url,
        "SELECT current_setting('synchronous_standby_names') AS names",
      )
    )[0];
  while ((await shown())?.names !== names);
}

/** Cancels the waits for the standby that there are. @returns how many */
async function cancelWaits(): Promise<number> {
  const waiting =
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  return (await psql(url, waiting)).length;
}

async function entries(): Promise<number[]> {
  const rows = await psql<{ amount: string }>(url, "SELECT amount FROM entries WHERE version > 1");
  return rows.map(({ amount }) => Number(amount));
}

test("a change whose wait was cancelled is in the journal, and is not known to last", async () => {
  expect(await ledger.apply(adjustment(1, -1))).toMatchObject({ balance: 9_999 });
  await standby("nobody");
  let isOver = false;
  const failure = ledger
    .apply(adjustment(1, -2))
    .then(
      (outcome) => outcome,
      (error) => error,
    )
    .finally(() => {
      isOver = true;
    });
  let cancelled = 0;
  while (!isOver) cancelled += await cancelWaits();
  // The change's own, and those of who looked for its receipt.
  expect(cancelled).toBeGreaterThan(0);
  await expect(failure).resolves.toMatchObject({
    code: "OUTCOME_UNKNOWN",
    applied: "unknown",
    message: expect.stringContaining("standby"),
  });
  expect(await entries()).toEqual([-1, -2]);
  await standby("");
  expect(await ledger.apply(adjustment(1, -3))).toMatchObject({ balance: 9_994 });
});

test("the receipt is the answer as soon as the standby has it", async () => {
  await standby("nobody");
  const answer = ledger.apply(adjustment(1, -4));
  while ((await cancelWaits()) === 0);
  await standby("");
  expect(await answer).toMatchObject({ refusal: null, balance: 9_990 });
  expect(await entries()).toEqual([-1, -2, -3, -4]);
});
