/** A database of its own for a test file, cloned from the migrated template, dropped afterwards. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { connectDatabase, type Database } from "../../../src/database/connection.ts";
import { createLedger, type Ledger, type LedgerOptions } from "../../../src/ledger/ledger.ts";
import { afterFile } from "../cleanup.ts";
import { dropDatabase, templateName, withDatabase } from "../global-setup.ts";

/** @param template false gives an empty database, without any schema */
export async function createTestDatabase({ template = true } = {}): Promise<string> {
  const serverUrl = inject("serverUrl");
  const name = `balancectl_test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`CREATE DATABASE ${name} TEMPLATE ${template ? templateName : "template1"}`);
  await client.end();
  afterFile(() => dropDatabase(serverUrl, name));
  return withDatabase(serverUrl, name);
}

/** Name of a database that does not exist yet and is dropped after the file, if it came to be. */
export function unusedDatabaseUrl(): string {
  const serverUrl = inject("serverUrl");
  const name = `balancectl_test_${randomBytes(6).toString("hex")}`;
  afterFile(() => dropDatabase(serverUrl, name));
  return withDatabase(serverUrl, name);
}

/** One query on a connection of its own; `sql` as a person would type it into psql. */
export async function psql<T extends pg.QueryResultRow = pg.QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const result = await client.query<T>(sql, values);
    return result.rows;
  } finally {
    await client.end();
  }
}

export const testBounds = {
  lanes: 4,
  batchSizeMax: 500,
  waitingMax: 50_000,
  readConnectionsMax: 4,
  idempotencyDays: 30,
  lockTimeoutMs: 5_000,
  statementTimeoutMs: 20_000,
};

/** A ledger in this process, closed after the file. */
export function openTestLedger(
  url: string,
  options: Partial<typeof testBounds> & Pick<LedgerOptions, "now" | "observers"> = {},
): { ledger: Ledger; database: Database } {
  const { now, observers, ...bounds } = options;
  const database = connectDatabase(url, { ...testBounds, ...bounds });
  const ledger = createLedger(database, { bounds: { ...testBounds, ...bounds }, now, observers });
  afterFile(() => database.close());
  return { ledger, database };
}
