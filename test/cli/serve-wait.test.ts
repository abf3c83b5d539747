/** `balancectl serve` before a database that is not there yet, or never will be. */
import { once } from "node:events";
import { appendFile, chmod, chown, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findBinaries } from "../../src/database/embedded/binaries.ts";
import { createCluster, readPassword } from "../../src/database/embedded/cluster.ts";
import { preparePlace } from "../../src/database/embedded/place.ts";
import { findServer, startServer as startPostgres } from "../../src/database/embedded/server.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { exchange } from "../support/http/client.ts";
import { account } from "../support/oracle/journal.ts";
import { failure } from "../support/server/command-line.ts";
import { balancectl } from "../support/server/program.ts";
import { type Spoken, speak } from "../support/server/spoken.ts";

const serve = ["serve", "--port", "0"];

/** What is said of a database at this URL, up to the reason. */
function waiting(url: string, seconds = 60): string {
  const { host, pathname } = new URL(url);
  return `Waiting up to ${seconds} s for PostgreSQL ${pathname.slice(1)} at ${host}: `;
}

/** Who listens on the port of the URL, without being a database. */
async function listenOn(url: string): Promise<Server> {
  const server = createServer().listen(Number(new URL(url).port), "127.0.0.1");
  await once(server, "listening");
  afterFile(() => server.close());
  return server;
}

async function untilReady({ says, stdout }: Spoken): Promise<string> {
  await says("stop  ", "stdout");
  return /http:\/\/\S+/.exec(stdout())?.[0] as string;
}

async function spend(serverUrl: string): Promise<unknown> {
  const { body } = await exchange(serverUrl, {
    method: "PUT",
    path: "/api/users/1/balance",
    headers: { "content-type": "application/json" },
    body: '{"amount":-1}',
  });
  return body.data;
}

describe("not there yet", () => {
  test("nobody listens, then somebody who hangs up, then the database: each said once, and it serves", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    await proxy.down();
    const server = speak(serve, { DATABASE_URL: proxy.url });
    const { host } = new URL(proxy.url);
    const refused = `${waiting(proxy.url)}connect ECONNREFUSED ${host}\n`;
    await server.says(refused);
    const other = await listenOn(proxy.url);
    other.on("connection", (socket) => socket.end());
    await server.says("Connection terminated unexpectedly\n");
    other.close();
    await proxy.mend();
    const serverUrl = await untilReady(server);
    expect(await spend(serverUrl)).toMatchObject({ balance: 9_999 });
    // Between the two it may have been refused once more.
    expect(
      server
        .stderr()
        .split("\n")
        .filter((line) => line.endsWith("unexpectedly")),
    ).toHaveLength(1);
    expect(server.stderr().startsWith(`Starting\n${refused}`)).toBe(true);
    server.child.kill("SIGTERM");
    expect(await server.exitCode).toBe(0);
  });

  test("with --json the log says so", async () => {
    const proxy = await startTcpProxy(await createTestDatabase());
    await proxy.down();
    const server = speak([...serve, "--json"], { DATABASE_URL: proxy.url, LOG_LEVEL: "info" });
    await server.says('"msg":"waiting for the database"');
    await proxy.mend();
    await server.says('"url":"http://127.0.0.1:', "stdout");
    const [line = ""] = server.stderr().split("\n");
    const { host } = new URL(proxy.url);
    expect(JSON.parse(line)).toMatchObject({ level: 30, why: `connect ECONNREFUSED ${host}` });
  });

  test("with --json what has stopped it is the document", async () => {
    const proxy = await startTcpProxy(await createTestDatabase());
    await proxy.down();
    const server = speak([...serve, "--json"], { DATABASE_URL: proxy.url, LOG_LEVEL: "info" });
    await server.says('"msg":"waiting for the database"');
    server.child.kill("SIGTERM");
    expect(await server.exitCode).toBe(143);
    expect(server.stdout()).toBe(failure("INTERRUPTED", "stopped by SIGTERM").stdout);
  });

  test("for longer than --wait: the last reason; --wait 0 does not wait at all", async () => {
    const proxy = await startTcpProxy(await createTestDatabase());
    await proxy.down();
    const env = { DATABASE_URL: proxy.url };
    const { host } = new URL(proxy.url);
    const why = `connect ECONNREFUSED ${host}`;
    const end = `balancectl: The database cannot be reached; nothing was changed (${why})\n`;
    const [one, none] = await Promise.all(
      ["1", "0"].map((seconds) => balancectl([...serve, "--wait", seconds], env)),
    );
    expect(one).toEqual({
      code: 1,
      stdout: "",
      stderr: `Starting\n${waiting(proxy.url, 1)}${why}\n${end}`,
    });
    expect(none).toEqual({ code: 1, stdout: "", stderr: `Starting\n${end}` });
  });

  test("a host that nobody knows", async () => {
    const url = "postgres://somebody@no-such-host.invalid:5432/nothing";
    const { code, stderr } = await balancectl([...serve, "--wait", "1"], { DATABASE_URL: url });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^Starting\nWaiting up to 1 s for .*: getaddrinfo (ENOTFOUND|EAI_AGAIN)/,
      ),
    ]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "%s ends it at once and is named, also while it connects",
    async (signal, exitCode) => {
      const proxy = await startTcpProxy(await createTestDatabase());
      await proxy.down();
      // It would wait for the answer for ten minutes.
      const server = speak(serve, { DATABASE_URL: `${proxy.url}?connect_timeout=600` });
      await server.says("ECONNREFUSED");
      const silent = await listenOn(proxy.url);
      await once(silent, "connection");
      server.child.kill(signal);
      expect(await server.exitCode).toBe(exitCode);
      const { host } = new URL(proxy.url);
      const said = `Starting\n${waiting(proxy.url)}connect ECONNREFUSED ${host}\n`;
      const named = `balancectl: stopped by ${signal}\n`;
      expect([server.stdout(), server.stderr()]).toEqual(["", said + named]);
    },
  );
});

describe("a PostgreSQL of its own, which is recovering", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "balancectl-wait-"));
  await chmod(dataDir, 0o755);
  afterFile(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));
  const place = await preparePlace(dataDir);
  const binaries = await findBinaries(place, () => {});
  await createCluster(place, binaries);
  const standby = join(place.data, "standby.signal");
  await writeFile(standby, "");
  // It recovers until it is told that it is the primary, and takes no connections meanwhile.
  await appendFile(join(place.data, "postgresql.auto.conf"), "hot_standby = off\n");
  if (place.user) await chown(standby, place.user.uid, place.user.gid);
  const nothing = await open("/dev/null");
  const postgres = await startPostgres(place, binaries, nothing.fd, undefined, { tcpPort: 0 });
  await nothing.close();
  afterFile(async () => {
    postgres.interrupt();
    await postgres.exited;
  });
  // It has written where it listens, or has ended.
  let port: number | undefined;
  while (port === undefined && postgres.alive()) port = (await findServer(place))?.address?.port;
  const password = await readPassword(place);
  const urlOf = (who: string, name: string) => `postgres://${who}@127.0.0.1:${port}/${name}`;
  const url = urlOf(`balancectl:${password}`, "ledger");

  test("57P03 is waited for; then the database is made, and served", async () => {
    const server = speak(serve, { DATABASE_URL: url });
    await server.says(`${waiting(url)}the database system is not accepting connections\n`);
    const promote = join(place.data, "promote");
    await writeFile(promote, "");
    if (place.user) await chown(promote, place.user.uid, place.user.gid);
    process.kill(postgres.pid, "SIGUSR1");
    expect(await spend(await untilReady(server))).toMatchObject({ balance: 9_999 });
    server.child.kill("SIGTERM");
    expect(await server.exitCode).toBe(0);
    expect(await account(url)).toEqual({ balance: 9_999, entries: 2 });
  });

  const saidAtOnce = async (databaseUrl: string, ...args: string[]) => {
    const { code, stderr } = await balancectl([...serve, ...args], { DATABASE_URL: databaseUrl });
    const [first, ...rest] = stderr.split("\n");
    expect([code, first]).toEqual([1, "Starting"]);
    return rest.join("\n");
  };

  test("a wrong password, a database that may not be made, one that is not made: said at once", async () => {
    await psql(url, "CREATE ROLE clerk LOGIN PASSWORD 'clerk'");
    expect(await saidAtOnce(urlOf("clerk:wrong", "ledger"))).toMatch(
      /^balancectl: The database refused the password.* \(password authentication failed for user "clerk"\)\n$/,
    );
    expect(await saidAtOnce(urlOf("clerk:clerk", "another"))).toMatch(
      /^balancectl: Database "another" does not exist and could not be created: permission denied .*\n$/,
    );
    expect(await saidAtOnce(urlOf("clerk:clerk", "another"), "--no-migrate")).toMatch(
      /^balancectl: The database does not exist .*\(database "another" does not exist\)\n$/,
    );
  });

  test("what would fail every write is said at the start, not with the first of them", async () => {
    await psql(url, "ALTER DATABASE ledger SET default_transaction_read_only = on");
    expect(await saidAtOnce(url)).toMatch(/^balancectl: The database is read-only \(a standby\?\)/);
  });
});
