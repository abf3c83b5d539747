/** DATABASE_URL with several hosts: the one that takes changes is found, and found again. */
import { beforeAll, describe, expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import { connect } from "../../src/database/migration-connection.ts";
import { schemaStatus } from "../../src/database/migrator.ts";
import { remarksOn } from "../../src/database/remarks.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { afterFile } from "../support/cleanup.ts";
import { psql, testBounds } from "../support/database/database.ts";
import { type Replicated, startReplicated } from "../support/database/replicated.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { runHere } from "../support/server/command-line.ts";

let pair: Replicated;
beforeAll(async () => {
  pair = await startReplicated();
});

function open(url: string) {
  const database = connectDatabase(url, testBounds);
  afterFile(() => database.close());
  return { database, ledger: createLedger(database, { bounds: testBounds }) };
}

const portSql = "SELECT inet_server_port()::text";
const port = { name: "port", text: portSql };

async function portsOf({ database }: ReturnType<typeof open>): Promise<string[]> {
  const [[row]] = (await database.sequelize.query(`${portSql} AS port`)) as [
    { port: string }[],
    unknown,
  ];
  return [(await database.writer(0).query(port, [])) ?? "", row?.port ?? ""];
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error) => `${error.message} - ${error.cause?.message}`,
  );
}

/** The hosts in another order or with other parameters. */
function withHosts(hosts: string, query = ""): string {
  return pair.url.replace(/@[^/]*/, `@${hosts}`) + query;
}

describe("with a standby first", () => {
  test("reads, changes, migrations and commands go to the primary", async () => {
    const both = String(pair.primary.port);
    expect(await portsOf(open(pair.url))).toEqual([both, both]);
    const client = await connect(pair.url);
    expect((await client.query(`${portSql} AS port`)).rows).toEqual([{ port: both }]);
    await client.end();
    expect((await schemaStatus(pair.url)).pending).toEqual([]);
    expect((await verify(pair.url)).ok).toBe(true);
    const { code, stdout } = await runHere(["adjust", "1", "-1"], { DATABASE_URL: pair.url });
    expect([code, stdout]).toEqual([0, expect.stringContaining("9,999")]);
  });

  test("any host will do for target_session_attrs=any, and none but the primary for primary", async () => {
    const readsAt = async (query: string) => {
      const { sequelize } = open(pair.url + query).database;
      const [[row]] = (await sequelize.query(`${portSql} AS port`)) as [
        { port: string }[],
        unknown,
      ];
      return row?.port;
    };
    expect(await readsAt("?target_session_attrs=any")).toBe(String(pair.standby.port));
    expect(await readsAt("?target_session_attrs=primary")).toBe(String(pair.primary.port));
  });

  test("a single standby is told from a server that writes, where that is asked for", async () => {
    const url = `${pair.standby.url}?target_session_attrs=read-write`;
    const { port: at } = pair.standby;
    expect(await failureOf(connect(url))).toBe(
      `The database cannot be reached; nothing was changed - no host takes changes (127.0.0.1:${at}: is a standby)`,
    );
  });
});

test("a server whose standby is not waited for is remarked on", async () => {
  const words = await remarksOn(pair.url);
  expect(words).toEqual([
    expect.stringMatching(
      /^The database has a standby, but does not wait for one \(synchronous_standby/,
    ),
  ]);
  await psql(pair.primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'second'");
  await psql(pair.primary.url, "SELECT pg_reload_conf()");
  while ((await remarksOn(pair.url)).length > 0);
  await psql(pair.primary.url, "ALTER SYSTEM SET synchronous_commit = 'local'");
  await psql(pair.primary.url, "SELECT pg_reload_conf()");
  while (!(await remarksOn(pair.url))[0]?.includes("synchronous_commit is local"));
  await psql(pair.primary.url, "ALTER SYSTEM RESET ALL");
  await psql(pair.primary.url, "SELECT pg_reload_conf()");
});

test("where none will do, each is named with its reason", async () => {
  const { primary, standby } = pair;
  const url = withHosts(`127.0.0.1:1,127.0.0.1:${standby.port},nowhere.invalid:2`);
  const words = await failureOf(open(url).database.writer(0).query(port, []));
  expect(words).toMatch(
    /^The database cannot be reached; nothing was changed - no host takes changes \(/,
  );
  for (const why of [
    "127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1",
    `127.0.0.1:${standby.port}: is a standby`,
    "nowhere.invalid:2: getaddrinfo ",
  ]) {
    expect(words).toContain(why);
  }
  const wrong = pair.url.replace(/:[^:@]*@/, ":wrong@");
  expect(await failureOf(connect(wrong))).toMatch(
    new RegExp(
      `^The database refused the password; nothing was changed - no host takes changes \\(.*127\\.0\\.0\\.1:${primary.port}: password`,
    ),
  );
});

test("a host that accepts and says nothing keeps nobody from the next", async () => {
  const silent = await startTcpProxy(pair.primary.url);
  silent.silence();
  const host = new URL(silent.url).host;
  const url = withHosts(`${host},127.0.0.1:${pair.primary.port}`, "?connect_timeout=30");
  const startedMs = Date.now();
  expect(await portsOf(open(url))).toEqual([String(pair.primary.port), String(pair.primary.port)]);
  // Longer than a stranger's half second, and not the half minute.
  expect(Date.now() - startedMs).toBeLessThan(15_000);
});

test("a server that turns read-only is left: by the connection that heard it, for the one that writes", async () => {
  const { ledger, database } = open(pair.url);
  expect((await ledger.apply(adjustment(1, -1))).refusal).toBe(null);
  const pids = async () => {
    const [[row]] = (await database.sequelize.query("SELECT pg_backend_pid() AS pid")) as [
      { pid: number }[],
      unknown,
    ];
    return [
      Number(await database.writer(0).query({ name: "pid", text: "SELECT pg_backend_pid()" }, [])),
      row?.pid,
    ];
  };
  const before = await pids();
  await psql(pair.primary.url, "ALTER SYSTEM SET default_transaction_read_only = on");
  await psql(pair.primary.url, "SELECT pg_reload_conf()");
  try {
    // Each session hears of it when it is asked something.
    while ((await failureOf(ledger.apply(adjustment(1, -1)))) === "none");
    await expect(
      database.sequelize.query("UPDATE users SET balance = balance"),
    ).rejects.toMatchObject({ original: { code: "25006" } });
    expect(await failureOf(ledger.apply(adjustment(1, -1)))).toMatch(
      /: is read-only.*: is a standby|: is a standby.*: is read-only/,
    );
  } finally {
    await psql(pair.primary.url, "ALTER SYSTEM RESET default_transaction_read_only");
    await psql(pair.primary.url, "SELECT pg_reload_conf()");
  }
  while ((await failureOf(ledger.apply(adjustment(1, -1)))) !== "none");
  const after = await pids();
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
});

// The last one: afterwards the pair is another.
test("when the primary is killed and the standby promoted, both pools find it", async () => {
  const opened = open(pair.url);
  const [first, second] = [String(pair.primary.port), String(pair.standby.port)];
  expect(await portsOf(opened)).toEqual([first, first]);
  await pair.primary.kill();
  expect(await failureOf(opened.ledger.apply(adjustment(1, -1)))).not.toBe("none");
  await pair.promote();
  while ((await failureOf(opened.ledger.apply(adjustment(1, -1)))) !== "none");
  expect(await portsOf(opened)).toEqual([second, second]);
});
