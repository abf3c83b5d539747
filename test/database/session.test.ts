/** What sessions are set to, and that a line which dies in the middle of a statement keeps no locks. */
import { expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql, testBounds } from "../support/database/database.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";

const databaseUrl = await createTestDatabase();
const [server] = await psql<{ version: number; linux: boolean }>(
  databaseUrl,
  "SELECT current_setting('server_version_num')::int AS version, version() LIKE '%linux%' AS linux",
);

function open(url: string, bounds: Partial<typeof testBounds> = {}) {
  const database = connectDatabase(url, { ...testBounds, ...bounds });
  afterFile(() => database.close());
  return database;
}

test("both pools set their sessions, and nothing comes with the start of a connection", async () => {
  const { sequelize, writer } = open(`${databaseUrl}?options=-c%20my.own%3D1`);
  const names = [
    ...["lock_timeout", "statement_timeout", "transaction_timeout", "tcp_user_timeout"],
    ...["client_connection_check_interval", "tcp_keepalives_idle", "datestyle", "my.own"],
  ];
  const sql = `SELECT json_object_agg(name, current_setting(name, true)) AS found
                 FROM unnest('{${names}}'::text[]) AS name`;
  const rest = {
    ...{
      statement_timeout: "20s",
      datestyle: "ISO, MDY",
      "my.own": "1",
      tcp_keepalives_idle: "10",
    },
    transaction_timeout: (server?.version ?? 0) >= 170_000 ? "25s" : null,
    ...{ tcp_user_timeout: "20000", client_connection_check_interval: "2s" },
  };
  const [[row]] = (await sequelize.query(sql)) as [{ found: unknown }[], unknown];
  expect(row?.found).toEqual({ ...rest, lock_timeout: "5s" });
  const changes = await writer(0).query({ name: "settings", text: sql }, []);
  expect(JSON.parse(changes ?? "")).toEqual({ ...rest, lock_timeout: "10ms" });
  const sources =
    "SELECT count(*) FROM pg_settings WHERE source = 'client' AND name NOT IN ('application_name', 'client_encoding')";
  expect(await writer(0).query({ name: "sources", text: sources }, [])).toBe("0");
});

test.runIf((server?.version ?? 0) >= 170_000)(
  "a line that dies between Execute and Sync keeps its row locks no longer than the transaction may take",
  async () => {
    const proxy = await startTcpProxy(databaseUrl);
    // The statement's 300 ms and the 5 s that are left for all that is beside it.
    const { writer } = open(proxy.url, { statementTimeoutMs: 300 });
    const lock = { name: "lock", text: "SELECT id FROM users WHERE id = $1::bigint FOR UPDATE" };
    expect(await writer(0).query(lock, ["1"])).toBe("1");
    proxy.loseNextSync();
    const answer = writer(0).query(lock, ["1"]);
    answer.catch(() => {});
    const held = `SELECT FROM pg_stat_activity WHERE datname = current_database()
                     AND state = 'active' AND wait_event = 'ClientRead' AND xact_start IS NOT NULL`;
    while ((await psql(databaseUrl, held)).length === 0);
    const free = "SELECT id FROM users WHERE id = 1 FOR UPDATE SKIP LOCKED";
    expect(await psql(databaseUrl, free)).toEqual([]);
    const startedMs = Date.now();
    expect(await psql(databaseUrl, "SELECT id FROM users WHERE id = 1 FOR UPDATE")).toEqual([
      { id: "1" },
    ]);
    process.stdout.write(`locks were free after ${Date.now() - startedMs} ms\n`);
    expect(Date.now() - startedMs).toBeLessThan(30_000);
    proxy.cut();
    await expect(answer).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  },
);
