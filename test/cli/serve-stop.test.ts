/**
 * `balancectl serve` that is asked to stop while requests lie in the kernel, unread: it is halted while they
 * are written, and the signal is there when it goes on. Needs /proc, so Linux.
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import {
  lockUser,
  openIdle,
  patient,
  untilLockIsWaitedFor,
} from "../support/database/locked-user.ts";
import { exchange } from "../support/http/client.ts";
import { count } from "../support/http/load.ts";
import { openSocket, parseAnswers } from "../support/http/raw.ts";
import { account, journalFindings } from "../support/oracle/journal.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

const put =
  "PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\n" +
  'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"amount":-1}';

/** It and its workers, halted until the function returned is called, at the latest after the file. */
async function halt({ child: { pid = 0 } }: RunningServer): Promise<() => void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const pids = [pid, ...children.split(" ").filter(Boolean).map(Number)];
  for (const each of pids) process.kill(each, "SIGSTOP");
  let isHalted = true;
  const goOn = () => {
    if (isHalted) for (const each of pids) process.kill(each, "SIGCONT");
    isHalted = false;
  };
  afterFile(goOn);
  return goOn;
}

interface Caller {
  readonly socket: Socket;
  /** All that it heard until the connection was closed, or the code of the error that ended it. */
  readonly heard: Promise<Buffer | string>;
}

async function call(url: string): Promise<Caller> {
  const socket = await openSocket(url);
  const chunks: Buffer[] = [];
  const heard = new Promise<Buffer | string>((resolve) => {
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code ?? "error"));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
  });
  return { socket, heard };
}

const callers = (url: string, length: number) =>
  Promise.all(Array.from({ length }, () => call(url)));

/** Resolves when the kernel has it, which on loopback is the server's. */
function written({ socket }: Caller, text: string): Promise<void> {
  return new Promise((resolve) => socket.write(text, () => resolve()));
}

/** How many of each: "200", "200 200", "ECONNRESET", "nothing". */
async function answersOf(all: readonly Caller[]): Promise<Record<string, number>> {
  const heard = await Promise.all(all.map((caller) => caller.heard));
  return count(
    heard.map((got) => {
      if (typeof got === "string") return got;
      const statuses = parseAnswers(got).map(({ status }) => status);
      return statuses.join(" ") || "nothing";
    }),
  );
}

describe.each([
  ["one server", []],
  ["--workers 2", ["--workers", "2"]],
] as const)("SIGTERM to %s", (_name, args) => {
  test("answers all 1,500 whose request is written, read or not, and closes who said nothing", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url, ...patient }, args);
    const known = await callers(server.url, 500);
    const firstHeard = known.map(
      ({ socket }) => new Promise((resolve) => socket.once("data", resolve)),
    );
    for (const caller of known)
      caller.socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await Promise.all(firstHeard);
    const silent = await callers(server.url, 500);
    const mute = await call(server.url);
    // One exchange behind them: they are accepted.
    expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
    const goOn = await halt(server);
    // In the backlog: connected, and not accepted.
    const late = await callers(server.url, 500);
    const all = [...known, ...silent, ...late];
    await Promise.all(all.map((caller) => written(caller, put)));
    const pipelined = await call(server.url);
    await written(pipelined, put.repeat(3));
    const exit = server.stop("SIGTERM");
    goOn();
    expect(await answersOf(all)).toEqual({ "200 200": 500, "200": 1_000 });
    expect(await answersOf([pipelined])).toEqual({ "200 200 200": 1 });
    expect(await answersOf([mute])).toEqual({ nothing: 1 });
    expect(await exit).toBe(0);
    expect(server.stderr()).toBe("");
    expect(await account(url)).toEqual({ balance: 8_497, entries: 1_504 });
    expect(await journalFindings(url)).toEqual([]);
  });

  test("is seen in /readyz as long as it still answers", async () => {
    const url = await createTestDatabase();
    const server = await startServer({ DATABASE_URL: url, ...patient }, args);
    const lock = await lockUser(url, 1);
    const [ready, caller] = [await call(server.url), await call(server.url)];
    await written(ready, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n");
    const idle = [await openIdle(server.url), await openIdle(server.url)];
    await written(caller, put);
    await untilLockIsWaitedFor(url);
    const exit = server.stop("SIGTERM");
    await Promise.all(idle.map(({ closed }) => closed));
    await written(ready, "\r\n");
    const [answer] = parseAnswers((await ready.heard) as Buffer);
    expect([answer?.status, answer?.headers["connection"], answer?.body]).toEqual([
      503,
      "close",
      expect.stringContaining("The server is stopping"),
    ]);
    await lock.release();
    expect(await answersOf([caller])).toEqual({ "200": 1 });
    expect(await exit).toBe(0);
    expect(server.stderr()).toBe("");
  });
});
