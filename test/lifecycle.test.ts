/** A server's life: start, stop, and a database that goes away under load. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import pg from "pg";
import { Agent, RetryAgent } from "undici";
import { describe, expect, test } from "vitest";
import { createTestDatabase, unusedDatabaseUrl } from "./support/database/database.ts";
import {
  lockUser,
  openIdle,
  patient,
  untilLockIsWaitedFor,
} from "./support/database/locked-user.ts";
import { startTcpProxy } from "./support/database/tcp-proxy.ts";
import { burst, made, successes, untilBackendsAreGone } from "./support/http/burst.ts";
import { exchange } from "./support/http/client.ts";
import { openLoad, tally } from "./support/http/load.ts";
import { openSocket, parseAnswers, readToEnd } from "./support/http/raw.ts";
import { account, journalFindings } from "./support/oracle/journal.ts";
import { balancectl, type RunningServer, startServer } from "./support/server/program.ts";

const json = { "content-type": "application/json" };

function adjust(server: RunningServer, userId: number, amount: number, headers = {}) {
  return exchange(server.url, {
    method: "PUT",
    path: `/api/users/${userId}/balance`,
    headers: { ...json, ...headers },
    body: JSON.stringify({ amount }),
  });
}

/** Until nobody listens any more. */
async function untilRefused(server: RunningServer): Promise<void> {
  for (;;) {
    try {
      (await openSocket(server.url)).destroy();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It was in the backlog when that was closed.
      if (code === "ECONNRESET") continue;
      expect(code).toBe("ECONNREFUSED");
      return;
    }
  }
}

describe("start", () => {
  test("says where it listens, which database, who may call, how to stop; never the password", async () => {
    const url = await createTestDatabase();
    const { pathname, hostname, port, password } = new URL(url);
    const server = await startServer({ DATABASE_URL: url });
    const args = ["serve", "--port", new URL(server.url).port];
    const taken = await balancectl(args, { DATABASE_URL: url });
    expect(taken.stdout + taken.stderr).not.toContain(`:${password}@`);
    expect(server.hello).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      database: `PostgreSQL ${pathname.slice(1)} at ${hostname}:${port || "5432"}`,
      schema: expect.stringMatching(/^\d{4}-/),
      pid: server.child.pid,
    });
  });

  test("creates and migrates a database that is not there", async () => {
    const url = unusedDatabaseUrl();
    const server = await startServer({ DATABASE_URL: url });
    expect((await adjust(server, 1, -2)).status).toBe(200);
    expect(await server.stop()).toBe(0);
    expect(await account(url)).toEqual({ balance: 9_998, entries: 2 });
  });

  test("two at once on a database that is not there", async () => {
    const url = unusedDatabaseUrl();
    const servers = await Promise.all([
      startServer({ DATABASE_URL: url }),
      startServer({ DATABASE_URL: url }),
    ]);
    for (const server of servers) expect((await adjust(server, 1, -1)).status).toBe(200);
    expect(await account(url)).toEqual({ balance: 9_998, entries: 3 });
  });

  test("--no-migrate refuses an outdated schema and leaves it as it is", async () => {
    const url = await createTestDatabase();
    await balancectl(["migrate", "down", "--yes"], { DATABASE_URL: url });
    const status = async () =>
      (await balancectl(["migrate", "status"], { DATABASE_URL: url })).stdout;
    const before = await status();
    const args = ["serve", "--port", "0", "--no-migrate", "--json"];
    const { code, stdout } = await balancectl(args, { DATABASE_URL: url });
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect([code, error.code]).toEqual([1, "SCHEMA_OUTDATED"]);
    expect(error.message).toMatch(/lacks \d{4}-[a-z-]+: run `balancectl migrate` first$/);
    expect(await status()).toBe(before);
  });

  test("--no-migrate serves a schema that is up to date", async () => {
    const server = await startServer({ DATABASE_URL: await createTestDatabase() }, [
      "--no-migrate",
    ]);
    expect((await adjust(server, 1, -2)).status).toBe(200);
  });

  test("on a port that is in use: a clear error", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const env = { DATABASE_URL: await createTestDatabase(), PORT: String(port) };
    const message =
      `127.0.0.1:${port} is in use by another program; ` +
      "choose another port with --port or PORT";
    const text = await balancectl(["serve"], env);
    const document = await balancectl(["serve", "--json"], env);
    other.close();
    expect([text.code, text.stdout]).toEqual([1, ""]);
    expect(text.stderr).toBe(`Starting\nbalancectl: ${message}\n`);
    expect([document.code, document.stderr]).toEqual([1, ""]);
    expect(JSON.parse(document.stdout)).toEqual({
      success: false,
      error: { code: "SERVER_FAILED", message },
    });
  });

  test("on an address of another machine: a clear error", async () => {
    const env = { DATABASE_URL: await createTestDatabase(), HOST: "192.0.2.1", PORT: "0" };
    const { code, stderr } = await balancectl(["serve", "--allow-anonymous"], env);
    expect([code, stderr]).toEqual([
      1,
      "Starting\nbalancectl: 192.0.2.1:0 is not an address of this machine; " +
        "choose another with --host or HOST\n",
    ]);
  });
});

describe("stop", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s ends an idle server", async (signal) => {
    const server = await startServer({ DATABASE_URL: await createTestDatabase() });
    expect(await server.stop(signal)).toBe(0);
    expect(server.stderr()).toBe("");
  });

  test("a client that has closed its side, or said nonsense, still gets the answers due", async () => {
    const server = await startServer({ DATABASE_URL: await createTestDatabase() });
    const put =
      "PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\n" +
      'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"amount":-1}';
    const statuses = async (sent: string, half = false) => {
      const socket = await openSocket(server.url);
      const all = readToEnd(socket);
      if (half) socket.end(sent);
      else socket.write(sent);
      return parseAnswers(await all).map(({ status }) => status);
    };
    expect(await statuses(put, true)).toEqual([200]);
    expect(await statuses(`${put}nonsense\r\n\r\n`)).toEqual([200, 400]);
    expect(await statuses(`${put}${put}nonsense\r\n\r\n`)).toEqual([200, 200, 400]);
    expect(await statuses(put.slice(0, -1), true)).toEqual([400]);
    expect((await adjust(server, 1, -1)).body.data).toMatchObject({ balance: 9_995 });
  });

  test("SIGTERM does not wait for those who are connected and have not said a word", async () => {
    const server = await startServer({ DATABASE_URL: await createTestDatabase() });
    const silent = [await openSocket(server.url), await openSocket(server.url)];
    const ends = silent.map(readToEnd);
    // One whole exchange after them, so that the server has them all.
    expect((await exchange(server.url, { path: "/api/users/1" })).status).toBe(200);
    const startedAt = performance.now();
    expect(await server.stop("SIGTERM")).toBe(0);
    // The drain timeout is 10 s.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await Promise.all(ends);
  });

  test("SIGTERM with 2,000 in flight: all are answered, all are in the journal", async () => {
    const url = await createTestDatabase();
    const server = await startServer({
      DATABASE_URL: url,
      ...patient,
    });
    const load = openLoad([server.url], 2_000);
    await load.open();
    const idle = await openIdle(server.url);
    const lock = await lockUser(url, 1);
    const answers = Promise.all(
      Array.from({ length: 2_000 }, (_, n) => load.send({ userId: 1, amount: -2 }, n)),
    );
    // What was written before these two has been read when they are answered.
    await exchange(server.url, { path: "/healthz" });
    await exchange(server.url, { path: "/healthz" });
    await untilLockIsWaitedFor(url);
    const exit = server.stop("SIGTERM");
    await idle.closed;
    await untilRefused(server);
    await lock.release();
    expect(tally(await answers)).toEqual({ "200": 2_000 });
    expect(await exit).toBe(0);
    expect(await account(url)).toEqual({ balance: 6_000, entries: 2_001 });
    expect(await journalFindings(url)).toEqual([]);
    await load.close();
  });

  test.each(["500", "1"])(
    "SIGTERM in the middle of a burst, batches of %s: what said success is in the journal, none beyond",
    async (batchSizeMax) => {
      const url = await createTestDatabase();
      const server = await startServer({
        DATABASE_URL: url,
        BALANCECTL_BATCH_SIZE_MAX: batchSizeMax,
      });
      const load = openLoad([server.url], 500);
      await load.open();
      let exit: Promise<number | null> | undefined;
      const then = () => {
        exit = server.stop("SIGTERM");
      };
      const answers = await burst(load, { count: 4_000, after: 700, then });
      expect(await exit).toBe(0);
      expect(answers.filter(({ status }) => status !== 200 && status !== 0)).toEqual([]);
      expect(successes(answers)).toBeGreaterThanOrEqual(700);
      expect(await made(url)).toBe(successes(answers));
      expect(await journalFindings(url)).toEqual([]);
    },
  );

  test("a second signal forces it, at once", async () => {
    const url = await createTestDatabase();
    const server = await startServer({
      DATABASE_URL: url,
      ...patient,
    });
    const lock = await lockUser(url, 1);
    const answer = adjust(server, 1, -2).then(
      () => "answered",
      () => "no answer",
    );
    await untilLockIsWaitedFor(url);
    const idle = await openIdle(server.url);
    server.child.kill("SIGTERM");
    await idle.closed;
    expect(await server.stop("SIGTERM")).toBe(143);
    expect(await answer).toBe("no answer");
    await lock.release();
  });

  test("what takes longer than the drain timeout is cut, and the exit is in time", async () => {
    const url = await createTestDatabase();
    const server = await startServer({
      DATABASE_URL: url,
      ...patient,
      BALANCECTL_DRAIN_TIMEOUT_MS: "300",
    });
    const lock = await lockUser(url, 1);
    const answer = adjust(server, 1, -2).then(
      () => "answered",
      () => "no answer",
    );
    await untilLockIsWaitedFor(url);
    const startedAt = performance.now();
    const code = await server.stop("SIGTERM");
    expect(code).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(await answer).toBe("no answer");
    await lock.release();
  });

  test("SIGKILL in the middle of a burst loses nothing that was answered", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url });
    const load = openLoad([server.url], 200);
    await load.open();
    const then = () => server.child.kill("SIGKILL");
    const answers = await burst(load, { count: 2_000, after: 500, then });
    const unanswered = answers.filter(({ status }) => status === 0).length;
    expect(successes(answers) + unanswered).toBe(2_000);
    await untilBackendsAreGone(url);
    const entries = await made(url);
    expect(entries).toBeGreaterThanOrEqual(successes(answers));
    expect(entries).toBeLessThanOrEqual(successes(answers) + unanswered);
    expect(await journalFindings(url)).toEqual([]);
    const next = await startServer({ DATABASE_URL: url });
    expect((await adjust(next, 1, 1)).status).toBe(200);
  });

  test("several workers: exact, and stopped together", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url }, ["--workers", "2"]);
    const load = openLoad([server.url], 200);
    const answers = await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => load.send({ userId: 1, amount: -10 }, n)),
    );
    await load.close();
    expect(tally(answers)).toEqual({ "200": 1_000, "422 INSUFFICIENT_FUNDS": 1_000 });
    expect(await server.stop()).toBe(0);
    expect(await account(url)).toEqual({ balance: 0, entries: 1_001 });
    expect(await journalFindings(url)).toEqual([]);
  });
});

describe("a database that goes away", () => {
  const unknown =
    "The database connection was lost before the answer came; it is not known whether the change was " +
    "made: look before repeating it, or repeat it under the same Idempotency-Key";

  const otherThan = (counts: Record<string, number>, ...expected: string[]) =>
    Object.keys(counts).filter((answer) => !expected.includes(answer));

  test("backends that are terminated under load: every answer is true, and none is missing", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url, LOG_LEVEL: "fatal" });
    const admin = new pg.Client(url);
    await admin.connect();
    const load = openLoad([server.url], 100);
    let answered = 0;
    const terminations: Promise<pg.QueryResult>[] = [];
    const answers = await Promise.all(
      Array.from({ length: 3_000 }, async (_, n) => {
        const answer = await load.send({ userId: 1, amount: 1 }, n);
        answered += 1;
        if (answered % 300 === 0) {
          terminations.push(
            admin.query(
              `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name ~ '^balancectl( lane \\d+)?$'`,
            ),
          );
        }
        return answer;
      }),
    );
    const ended = (await Promise.all(terminations)).map(({ rowCount }) => rowCount);
    expect(ended).toHaveLength(10);
    expect(ended.every(Boolean)).toBe(true);
    await load.close();
    await admin.end();
    // A batch that is hit a second time says so, and has changed nothing.
    expect(otherThan(tally(answers), "200", "503 DATABASE_UNAVAILABLE")).toEqual([]);
    expect(await made(url)).toBe(successes(answers));
    expect(await journalFindings(url)).toEqual([]);
    expect((await adjust(server, 1, 1)).status).toBe(200);
    expect((await exchange(server.url, { path: "/readyz" })).status).toBe(200);
  });

  test("connections that are cut under load: no lie, and every success is in the journal", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    const server = await startServer({ DATABASE_URL: proxy.url, LOG_LEVEL: "fatal" });
    const load = openLoad([server.url], 100);
    let answered = 0;
    const answers = await Promise.all(
      Array.from({ length: 3_000 }, async (_, n) => {
        const answer = await load.send({ userId: 1, amount: 1 }, n);
        answered += 1;
        if (answered % 300 === 0) proxy.cut();
        return answer;
      }),
    );
    await load.close();
    expect(otherThan(tally(answers), "200", "503 DATABASE_UNAVAILABLE")).toEqual([]);
    expect((await adjust(server, 1, -1)).status).toBe(200);
    expect(await server.stop()).toBe(0);
    await untilBackendsAreGone(url);
    // The one just made is beside them.
    expect(await made(url)).toBe(successes(answers) + 1);
    expect(await journalFindings(url)).toEqual([]);
  });

  test("one that cannot be reached: 503 with Retry-After everywhere, alive, and back again", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    const server = await startServer({ DATABASE_URL: proxy.url, LOG_LEVEL: "fatal" });
    expect((await adjust(server, 1, -1)).status).toBe(200);
    await proxy.down();
    const answers = [
      await adjust(server, 1, -1),
      await adjust(server, 1, -20_000),
      await adjust(server, 99_999, 1),
      await exchange(server.url, { path: "/api/users/1" }),
      await exchange(server.url, { path: "/api/users/99999" }),
      await exchange(server.url, { path: "/api/users" }),
      await exchange(server.url, { path: "/api/users/1/entries" }),
      await exchange(server.url, { path: "/readyz" }),
      await exchange(server.url, {
        method: "POST",
        path: "/api/users",
        headers: json,
        body: "{}",
      }),
    ];
    for (const { status, body, headers } of answers) {
      expect([status, body.error?.code, headers.get("retry-after")]).toEqual([
        503,
        "DATABASE_UNAVAILABLE",
        "1",
      ]);
    }
    expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
    // What needs no database is answered without one.
    expect((await adjust(server, 1, 0)).status).toBe(400);
    await proxy.mend();
    expect((await adjust(server, 1, -1)).body.data).toMatchObject({ balance: 9_998 });
    expect((await exchange(server.url, { path: "/readyz" })).status).toBe(200);
    expect(await server.stop()).toBe(0);
    expect(await account(url)).toEqual({ balance: 9_998, entries: 3 });
  });

  test("an answer that is lost after the commit is found, and is the answer", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    const server = await startServer({ DATABASE_URL: proxy.url, LOG_LEVEL: "fatal" });
    // The connection of the lane is there and the statement prepared.
    expect((await adjust(server, 1, -1)).status).toBe(200);
    const key = { "idempotency-key": "order-17" };
    for (const [headers, balance] of [
      [{}, 9_997],
      [key, 9_995],
    ] as const) {
      const lost = proxy.loseNextAnswer();
      const answer = await adjust(server, 1, -2, headers);
      await lost;
      expect([answer.status, answer.headers.get("idempotent-replayed"), answer.body.data]).toEqual([
        200,
        null,
        { id: 1, balance, previousBalance: balance + 2, amount: -2 },
      ]);
    }
    const again = await adjust(server, 1, -2, key);
    expect([again.headers.get("idempotent-replayed"), again.body.data]).toEqual([
      "true",
      { id: 1, balance: 9_995, previousBalance: 9_997, amount: -2 },
    ]);
    expect(await account(url)).toEqual({ balance: 9_995, entries: 4 });
  });

  test("away for longer than is looked for an answer: who repeats by habit does not pay twice", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    const server = await startServer({
      DATABASE_URL: proxy.url,
      LOG_LEVEL: "fatal",
      BALANCECTL_STATEMENT_TIMEOUT_MS: "300",
    });
    expect((await adjust(server, 1, -1)).status).toBe(200);
    const kept = proxy.keepNextQuestion();
    const client = new RetryAgent(new Agent());
    const answer = client.request({
      ...{ origin: server.url, path: "/api/users/1/balance", method: "PUT" },
      ...{ headers: json, body: '{"amount":-100}' },
    });
    const { deliver } = await kept;
    await proxy.down();
    const { statusCode, body } = await answer;
    expect([statusCode, await body.json()]).toEqual([
      424,
      { success: false, error: { code: "OUTCOME_UNKNOWN", message: unknown, applied: "unknown" } },
    ]);
    await client.close();
    await deliver();
    expect(await account(url)).toEqual({ balance: 9_899, entries: 3 });
  });

  test("one that falls silent: not known, within bounds, and the next goes over a new connection", async () => {
    const url = await createTestDatabase();
    const proxy = await startTcpProxy(url);
    const server = await startServer({
      DATABASE_URL: `${proxy.url}?connect_timeout=1`,
      LOG_LEVEL: "fatal",
      BALANCECTL_STATEMENT_TIMEOUT_MS: "100",
    });
    expect((await adjust(server, 1, -1)).status).toBe(200);
    proxy.silence();
    const { status, body, headers } = await adjust(server, 1, -2);
    // Without a key nobody can repeat it safely, and nobody is told to.
    expect([status, body.error, headers.get("retry-after")]).toEqual([
      424,
      { code: "OUTCOME_UNKNOWN", message: unknown, applied: "unknown" },
      null,
    ]);
    await proxy.mend();
    // What tries to connect in the silence gives up first.
    let next = await adjust(server, 1, -3);
    while (next.status === 503) next = await adjust(server, 1, -3);
    expect(next.body.data).toMatchObject({ balance: 9_994 });
    expect(await account(url)).toEqual({ balance: 9_994, entries: 4 });
  });

  test("one that has fallen silent does not keep the server from stopping", async () => {
    const proxy = await startTcpProxy(await createTestDatabase());
    const env = { LOG_LEVEL: "fatal", BALANCECTL_DRAIN_TIMEOUT_MS: "300" };
    const server = await startServer({ DATABASE_URL: proxy.url, ...env });
    proxy.silence();
    expect(await server.stop()).toBe(0);
  });

  test("a statement that takes too long: 503, nothing changed", async () => {
    const url = await createTestDatabase();
    const server = await startServer({
      DATABASE_URL: url,
      LOG_LEVEL: "fatal",
      BALANCECTL_STATEMENT_TIMEOUT_MS: "300",
      BALANCECTL_LOCK_TIMEOUT_MS: "60000",
    });
    const lock = await lockUser(url, 1);
    const { status, body } = await adjust(server, 1, -2);
    await lock.release();
    expect([status, body.error]).toEqual([
      503,
      {
        code: "DATABASE_UNAVAILABLE",
        message: "The database took too long and the statement was cancelled; nothing was changed",
        applied: "no",
      },
    ]);
    expect(await account(url)).toEqual({ balance: 10_000, entries: 1 });
  });
});

describe("a user whose row is locked in psql", () => {
  test("gets 503 after the lock timeout; other lanes go on; then all is well", async () => {
    const url = await createTestDatabase();
    const server = await startServer({
      DATABASE_URL: url,
      LOG_LEVEL: "fatal",
      BALANCECTL_LOCK_TIMEOUT_MS: "1500",
      BALANCECTL_LANES: "4",
    });
    for (const id of [2, 3, 4]) {
      const { status } = await exchange(server.url, {
        method: "POST",
        path: "/api/users",
        headers: json,
        body: JSON.stringify({ id, balance: 100 }),
      });
      expect(status).toBe(201);
    }
    const lock = await lockUser(url, 1);
    let isAnswered = false;
    const stuck = adjust(server, 1, -2).finally(() => {
      isAnswered = true;
    });
    await untilLockIsWaitedFor(url);
    // It is time itself that tells a flight that stalls from one that flies: 20 ms of it.
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const id of [2, 3, 4]) {
      expect((await adjust(server, id, -10)).body.data).toMatchObject({ balance: 90 });
      expect((await exchange(server.url, { path: `/api/users/${id}` })).status).toBe(200);
    }
    expect((await exchange(server.url, { path: "/api/users/1" })).body.data).toEqual({
      id: 1,
      balance: 10_000,
    });
    expect(isAnswered).toBe(false);
    const { status, body, headers } = await stuck;
    expect([status, body.error, headers.get("retry-after")]).toEqual([
      503,
      {
        code: "ACCOUNT_LOCKED",
        message: "An account is locked by another session; nothing was changed, try again later",
        applied: "no",
      },
      "1",
    ]);
    await lock.release();
    expect((await adjust(server, 1, -2)).body.data).toMatchObject({ balance: 9_998 });
    expect(await account(url)).toEqual({ balance: 9_998, entries: 2 });
    expect(await journalFindings(url)).toEqual([]);
  });
});

test("more than may wait is OVERLOADED, exactly, and nothing of it is done", async () => {
  const url = await createTestDatabase();
  const server = await startServer({
    DATABASE_URL: url,
    BALANCECTL_WAITING_MAX: "500",
    BALANCECTL_LOCK_TIMEOUT_MS: "60000",
    BALANCECTL_STATEMENT_TIMEOUT_MS: "60000",
  });
  const load = openLoad([server.url], 530);
  await load.open();
  const lock = await lockUser(url, 1);
  let refused = 0;
  let allRefused: () => void = () => {};
  const thirtyRefused = new Promise<void>((resolve) => {
    allRefused = resolve;
  });
  const answers = Promise.all(
    Array.from({ length: 530 }, async (_, n) => {
      const answer = await load.send({ userId: 1, amount: -1 }, n);
      if (answer.status === 503) refused += 1;
      if (refused === 30) allRefused();
      return answer;
    }),
  );
  await thirtyRefused;
  const { headers, status } = await adjust(server, 1, -1);
  expect([status, headers.get("retry-after")]).toEqual([503, "1"]);
  await lock.release();
  expect(tally(await answers)).toEqual({ "200": 500, "503 OVERLOADED": 30 });
  await load.close();
  expect(await account(url)).toEqual({ balance: 9_500, entries: 501 });
});
