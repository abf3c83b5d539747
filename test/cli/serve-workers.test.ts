/**
 * `balancectl serve --workers 2`. The main process hands connections to the workers in turn, so of
 * two sockets each worker has one. Needs /proc, so Linux.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { burst, made, successes, untilBackendsAreGone } from "../support/burst.ts";
import { afterFile } from "../support/cleanup.ts";
import { commandLine, usageHint } from "../support/command-line.ts";
import { createTestDatabase } from "../support/database.ts";
import { exchange } from "../support/exchange.ts";
import { account, journalFindings } from "../support/journal.ts";
import { hitAtOnce, openLoad, tally } from "../support/load.ts";
import { lockUser, openIdle, patient, untilLockIsWaitedFor } from "../support/locked-user.ts";
import { type Environment, type RunningServer, startServer } from "../support/program.ts";
import { openSocket } from "../support/raw.ts";

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

  test("workers whose main process is killed end too", async () => {
    const { url, server } = await startTwo(await createTestDatabase());
    // Resolves when the last of the three has closed its end of stdout and stderr.
    expect(await server.stop("SIGKILL")).toBe(null);
    await expect(openSocket(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
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
