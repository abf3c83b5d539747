/**
 * `balancectl serve --workers 2`. The main process hands connections to the workers in turn, so of
 * two sockets each worker has one. Needs /proc, so Linux.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import {
  lockUser,
  openIdle,
  patient,
  untilLockIsWaitedFor,
} from "../support/database/locked-user.ts";
import { burst, made, successes, untilBackendsAreGone } from "../support/http/burst.ts";
import { exchange } from "../support/http/client.ts";
import { hitAtOnce, openLoad, tally } from "../support/http/load.ts";
import { openSocket } from "../support/http/raw.ts";
import { account, journalFindings } from "../support/oracle/journal.ts";
import { commandLine, usageHint } from "../support/server/command-line.ts";
import {
  type Environment,
  type RunningServer,
  script,
  startServer,
} from "../support/server/program.ts";

interface Workers {
  readonly url: string;
  readonly server: RunningServer;
  /** Process ids of the workers, as the kernel has them. */
  pids(): Promise<number[]>;
}

/** One lane: a worker has one connection to the database that writes. */
async function startTwo(databaseUrl: string, more: Environment = {}): Promise<Workers> {
  const env = { DATABASE_URL: databaseUrl, BALANCECTL_LANES: "1", ...more };
  const server = await startServer(env, ["--workers", "2"]);
  const { pid } = server.child;
  const pids = async () => {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children.trim().split(" ").map(Number);
  };
  return { url: server.url, server, pids };
}

/** Halts a process until the function returned is called, at the latest after the file. */
function suspend(pid: number): () => void {
  process.kill(pid, "SIGSTOP");
  let isHalted = true;
  const resume = () => {
    if (isHalted) process.kill(pid, "SIGCONT");
    isHalted = false;
  };
  afterFile(resume);
  return resume;
}

describe("two workers", async () => {
  const databaseUrl = await createTestDatabase();
  const { url, server, pids } = await startTwo(databaseUrl, patient);

  test("answer on one URL, which --json says together with the main process", async () => {
    expect(server.hello).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/),
      database: expect.stringMatching(/^PostgreSQL /),
      schema: expect.stringMatching(/^\d{4}-/),
      pid: server.child.pid,
    });
    expect(new Set(await pids()).size).toBe(2);
    for (const path of ["/healthz", "/readyz", "/api/users/1"]) {
      expect((await exchange(url, { path })).status).toBe(200);
    }
  });

  test("change one balance at the same time, and it stays exact", async () => {
    const lock = await lockUser(databaseUrl, 1);
    const requests = Array.from({ length: 1_500 }, () => ({ userId: 1, amount: -10 }));
    const answers = hitAtOnce([url], requests, 100);
    // Both have work on that balance.
    await untilLockIsWaitedFor(databaseUrl, 2);
    await lock.release();
    expect(tally(await answers)).toEqual({ "200": 1_000, "422 INSUFFICIENT_FUNDS": 500 });
    expect(await account(databaseUrl)).toEqual({ balance: 0, entries: 1_001 });
    expect(await journalFindings(databaseUrl)).toEqual([]);
  });
});

describe("a worker that is killed", () => {
  test("in the middle of a burst loses nothing that was answered, and the other goes on", async () => {
    const databaseUrl = await createTestDatabase();
    const { url, pids, server } = await startTwo(databaseUrl);
    const [killed = 0] = await pids();
    const load = openLoad([url], 100);
    await load.open();
    const then = () => process.kill(killed, "SIGKILL");
    const answers = await burst(load, { count: 2_000, after: 500, then });
    const unanswered = answers.filter(({ status }) => status === 0).length;
    expect(unanswered).toBeGreaterThan(0);
    expect(successes(answers) + unanswered).toBe(2_000);
    expect(await server.stop()).toBe(0);
    await untilBackendsAreGone(databaseUrl);
    const entries = await made(databaseUrl);
    expect(entries).toBeGreaterThanOrEqual(successes(answers));
    expect(entries).toBeLessThanOrEqual(successes(answers) + unanswered);
    expect(await journalFindings(databaseUrl)).toEqual([]);
  });

  test("while a connection was being handed to it closes that one, whose client would wait", async () => {
    const { url, pids } = await startTwo(await createTestDatabase());
    const [killed = 0] = await pids();
    process.kill(killed, "SIGSTOP");
    const load = openLoad([url], 2);
    const answers = [0, 1].map((n) => load.send({ userId: 1, amount: 1 }, n));
    // Accepted after both of them, and answered by the other worker.
    expect((await exchange(url, { path: "/healthz" })).status).toBe(200);
    process.kill(killed, "SIGKILL");
    expect(tally(await Promise.all(answers))).toEqual({ "200": 1, "no answer (ECONNRESET)": 1 });
    await load.close();
  });

  test("is replaced by one that answers, and the log says so", async () => {
    const databaseUrl = await createTestDatabase();
    const { url, pids, server } = await startTwo(databaseUrl);
    const [killed = 0, other = 0] = await pids();
    process.kill(killed, "SIGKILL");
    // Said when it is dead: from here on nothing is handed to it.
    await once(server.child.stderr as NodeJS.ReadableStream, "data");
    // The other one is there and does nothing: the first answer is the replacement's.
    const resume = suspend(other);
    const load = openLoad([url], 2);
    const answers = [0, 1].map((n) => load.send({ userId: 1, amount: -1 }, n));
    expect((await Promise.race(answers)).status).toBe(200);
    resume();
    const after = await pids();
    expect(after).toHaveLength(2);
    expect(after).toContain(other);
    expect(after).not.toContain(killed);
    expect(tally(await Promise.all(answers))).toEqual({ "200": 2 });
    await load.close();
    expect(await server.stop()).toBe(0);
    expect(
      server
        .stderr()
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        level: 50,
        time: expect.any(Number),
        pid: server.child.pid,
        worker: killed,
        code: null,
        signal: "SIGKILL",
        msg: "a worker died; it is replaced",
      },
    ]);
    expect(await account(databaseUrl)).toEqual({ balance: 9_998, entries: 3 });
  });
});

describe("stop", () => {
  test.each([
    ["SIGTERM", "the main process"],
    ["SIGINT", "each process of the group, as Ctrl-C does"],
  ] as const)("%s to %s: both workers answer what is in flight, with 0", async (signal, whom) => {
    const databaseUrl = await createTestDatabase();
    const { url, server, pids } = await startTwo(databaseUrl, patient);
    let more = "";
    server.child.stdout?.on("data", (text) => {
      more += text;
    });
    const load = openLoad([url], 2);
    await load.open();
    const idle = [await openIdle(url), await openIdle(url)];
    const lock = await lockUser(databaseUrl, 1);
    const answers = [0, 1].map((n) => load.send({ userId: 1, amount: -2 }, n));
    await untilLockIsWaitedFor(databaseUrl, 2);
    if (whom !== "the main process") for (const pid of await pids()) process.kill(pid, signal);
    const exit = server.stop(signal);
    // Both drain; what they have in flight waits for the lock.
    await Promise.all(idle.map(({ closed }) => closed));
    await lock.release();
    expect(tally(await Promise.all(answers))).toEqual({ "200": 2 });
    expect(await exit).toBe(0);
    await load.close();
    // One document for all three processes, and nothing to complain about.
    expect([more, server.stderr()]).toEqual(["", ""]);
    expect(await account(databaseUrl)).toEqual({ balance: 9_996, entries: 3 });
    expect(await journalFindings(databaseUrl)).toEqual([]);
  });

  test("says what all of them are at", async () => {
    const databaseUrl = await createTestDatabase();
    const { url, server } = await startTwo(databaseUrl, { ...patient, LOG_LEVEL: "info" });
    const load = openLoad([url], 2);
    await load.open();
    const lock = await lockUser(databaseUrl, 1);
    const answers = [0, 1].map((n) => load.send({ userId: 1, amount: -2 }, n));
    await untilLockIsWaitedFor(databaseUrl, 2);
    const exit = server.stop();
    await expect.poll(server.stderr).toContain('"msg":"stopping"');
    await lock.release();
    expect(tally(await Promise.all(answers))).toEqual({ "200": 2 });
    expect(await exit).toBe(0);
    await load.close();
    const line = server
      .stderr()
      .split("\n")
      .find((one) => one.includes('"msg":"stopping"'));
    const { processes, waiting, inFlight } = JSON.parse(line as string);
    // Each in a process of its own, in flight or back among those that wait for who is locked.
    expect({ processes, operations: waiting + inFlight }).toEqual({ processes: 2, operations: 2 });
  });

  test("with no time to drain, a worker ends by itself as one server does", async () => {
    const databaseUrl = await createTestDatabase();
    const more = { BALANCECTL_DRAIN_TIMEOUT_MS: "0" };
    const { url, server } = await startTwo(databaseUrl, more);
    const [answer] = await hitAtOnce([url], [{ userId: 1, amount: -2 }]);
    expect(answer?.status).toBe(200);
    expect(await server.stop()).toBe(0);
    await untilBackendsAreGone(databaseUrl);
    // Killed, they would have left their sessions for the database to find out.
    const [sessions] = await psql(
      databaseUrl,
      `SELECT sessions_abandoned::int AS abandoned, sessions_killed::int AS killed
         FROM pg_stat_database WHERE datname = current_database()`,
    );
    expect(sessions).toEqual({ abandoned: 0, killed: 0 });
  });

  test("workers whose main process is killed end too", async () => {
    const { url, server } = await startTwo(await createTestDatabase());
    // Resolves when the last of the three has closed its end of stdout and stderr.
    expect(await server.stop("SIGKILL")).toBe(null);
    await expect(openSocket(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("as a worker of another program's cluster", () => {
  async function inCluster(args: string[], databaseUrl: string): Promise<ChildProcess> {
    const folder = await mkdtemp(join(tmpdir(), "balancectl-cluster-"));
    afterFile(() => rm(folder, { recursive: true }));
    const manager = join(folder, "manager.mjs");
    await writeFile(
      manager,
      `import cluster from "node:cluster";
       cluster.setupPrimary({ exec: ${JSON.stringify(script)}, args: ${JSON.stringify(args)} });
       cluster.fork().on("exit", (code) => process.exit(code));`,
    );
    const env = { PATH: process.env["PATH"], DATABASE_URL: databaseUrl, PORT: "0" };
    const child = spawn(process.execPath, [manager], { env, stdio: ["ignore", "pipe", "pipe"] });
    afterFile(() => child.kill("SIGKILL"));
    return child;
  }

  test("it is a whole server, with a schema of its own making", async () => {
    const child = await inCluster(
      ["serve", "--json"],
      await createTestDatabase({ template: false }),
    );
    const [line] = await once(createInterface({ input: child.stdout as Readable }), "line");
    const { url, schema } = JSON.parse(line);
    expect(schema).toMatch(/^\d{4}-/);
    const { status } = await exchange(url, { path: "/readyz" });
    expect(status).toBe(200);
  });

  test("it makes no workers of its own, and says so", async () => {
    const child = await inCluster(["serve", "--workers", "2"], await createTestDatabase());
    let said = "";
    child.stderr?.on("data", (text) => {
      said += text;
    });
    const [code] = await once(child, "close");
    expect([code, said]).toEqual([1, expect.stringContaining("--workers cannot be used where")]);
  });
});

test.each(["0", "65", "x", "1.5", "-2"])("--workers %s is wrong usage", async (count) => {
  const rule = "It must be a whole number from 1 to 64.";
  await commandLine("postgres://nobody@127.0.0.1:1/nowhere").expectRun(
    ["serve", "--workers", count],
    {
      code: 2,
      stderr: `error: option '--workers <count>' argument '${count}' is invalid. ${rule}\n${usageHint}`,
    },
  );
});
