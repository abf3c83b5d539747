/** The connections of the write lanes: statements are sent at once and answered one by one. */
import { beforeEach, expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import type { Writer } from "../../src/database/writers.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql, testBounds } from "../support/database/database.ts";
import { lockUser, untilLockIsWaitedFor } from "../support/database/locked-user.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";

const databaseUrl = await createTestDatabase();
await psql(
  databaseUrl,
  `CREATE TABLE seen (nr bigint);
   CREATE FUNCTION saw(nr bigint) RETURNS int LANGUAGE sql AS
     'INSERT INTO seen VALUES (nr); SELECT pg_backend_pid()';
   CREATE FUNCTION lock_user(id bigint) RETURNS void LANGUAGE plpgsql SET lock_timeout = 0 AS
     'BEGIN PERFORM FROM users WHERE users.id = lock_user.id FOR UPDATE; END'`,
);
beforeEach(() => psql(databaseUrl, "TRUNCATE seen"));

const saw = { name: "saw", text: "SELECT saw($1::bigint)" };
const divide = { name: "divide", text: "SELECT 1 / $1::bigint" };
const lock = { name: "lock", text: "SELECT lock_user($1::bigint)" };

function open(url: string): (lane: number) => Writer {
  const database = connectDatabase(url, testBounds);
  afterFile(() => database.close());
  return database.writer;
}

async function seen(): Promise<number[]> {
  const rows = await psql<{ nr: string }>(databaseUrl, "SELECT nr FROM seen ORDER BY ctid");
  return rows.map(({ nr }) => Number(nr));
}

test("a second statement is run before the answer to the first has come", async () => {
  const proxy = await startTcpProxy(databaseUrl);
  const writer = open(proxy.url)(0);
  await writer.query(saw, ["1"]);
  proxy.silence();
  const answers = [writer.query(saw, ["2"]), writer.query(saw, ["3"])];
  const settled = Promise.allSettled(answers);
  while ((await seen()).length < 3);
  expect(await seen()).toEqual([1, 2, 3]);
  // Nobody heard of either.
  proxy.cut();
  for (const result of await settled) {
    expect(result).toMatchObject({
      status: "rejected",
      reason: { code: "OUTCOME_UNKNOWN", applied: "unknown" },
    });
  }
  await proxy.mend();
  expect(Number(await writer.query(saw, ["4"]))).toBeGreaterThan(0);
  expect(await seen()).toEqual([1, 2, 3, 4]);
});

test("statements of a lane go over one connection, also the first ones at once; another lane has its own", async () => {
  const writer = open(databaseUrl);
  const at = (lane: number, nr: number) => writer(lane).query(saw, [String(nr)]);
  const [first, second, other] = await Promise.all([at(0, 1), at(0, 2), at(1, 3)]);
  expect(second).toBe(first);
  expect(other).not.toBe(first);
  expect(await at(0, 4)).toBe(first);
  expect((await seen()).filter((nr) => nr !== 3)).toEqual([1, 2, 4]);
});

test("each is a transaction: one that fails leaves those behind it alone", async () => {
  const writer = open(databaseUrl)(0);
  const before = await writer.query(saw, ["1"]);
  const results = await Promise.allSettled([
    writer.query(saw, ["2"]),
    writer.query(divide, ["0"]),
    writer.query(saw, ["3"]),
  ]);
  expect(results).toMatchObject([
    { status: "fulfilled", value: before },
    { status: "rejected", reason: { code: "INTERNAL", cause: { code: "22012" } } },
    { status: "fulfilled", value: before },
  ]);
  // The next goes over a fresh connection.
  expect(await writer.query(saw, ["4"])).not.toBe(before);
  expect(await seen()).toEqual([1, 2, 3, 4]);
});

test("one that waits for a lock holds up those behind it, and no other lane", async () => {
  const writer = open(databaseUrl);
  const held = await lockUser(databaseUrl, 1);
  const behind: string[] = [];
  const waiting = writer(0)
    .query(lock, ["1"])
    .then(() => behind.push("lock"));
  const next = writer(0)
    .query(saw, ["1"])
    .then(() => behind.push("next"));
  await untilLockIsWaitedFor(databaseUrl);
  await writer(1).query(saw, ["2"]);
  expect([behind, await seen()]).toEqual([[], [2]]);
  await held.release();
  await Promise.all([waiting, next]);
  expect([behind, await seen()]).toEqual([
    ["lock", "next"],
    [2, 1],
  ]);
});

test("a connection that is cut fails what was sent over it, and the next is made", async () => {
  const writer = open(databaseUrl)(0);
  const held = await lockUser(databaseUrl, 1);
  const settled = Promise.allSettled([writer.query(lock, ["1"]), writer.query(saw, ["1"])]);
  await untilLockIsWaitedFor(databaseUrl);
  await psql(
    databaseUrl,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  expect(await settled).toMatchObject([
    // The server said what it did with the one, and nothing of the other.
    { status: "rejected", reason: { code: "DATABASE_UNAVAILABLE", applied: "no" } },
    { status: "rejected", reason: { code: "OUTCOME_UNKNOWN", applied: "unknown" } },
  ]);
  await held.release();
  await writer.query(saw, ["2"]);
  expect(await seen()).toEqual([2]);
});

test("a session that is ended in the packet that begins it fails its statement, not the process", async () => {
  const proxy = await startTcpProxy(databaseUrl);
  proxy.endAtStart();
  const database = connectDatabase(proxy.url, testBounds);
  afterFile(() => database.close());
  const unavailable = { code: "DATABASE_UNAVAILABLE", applied: "no" };
  for (let n = 0; n < 20; n++) {
    await expect(database.writer(0).query(saw, ["1"])).rejects.toMatchObject(unavailable);
    await expect(database.sequelize.query("SELECT 1")).rejects.toThrow();
  }
});
