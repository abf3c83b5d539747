/** The log goes to who reads it, and nobody waits for who does not. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { BalancectlError } from "../src/errors.ts";
import type { Logger } from "../src/log.ts";
import { logFailures } from "../src/service/failure-log.ts";
import { afterFile } from "./support/cleanup.ts";
import { createTestDatabase, psql } from "./support/database/database.ts";
import { createApiClient } from "./support/http/client.ts";
import { script } from "./support/server/program.ts";

const folder = await mkdtemp(join(tmpdir(), "balancectl-log-"));
afterFile(() => rm(folder, { recursive: true, force: true }));

const databaseUrl = await createTestDatabase();
await psql(
  databaseUrl,
  `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN RAISE EXCEPTION 'injected %', repeat('x', 10000); END $$;
   CREATE TRIGGER fail AFTER UPDATE ON users EXECUTE FUNCTION fail()`,
);

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
  /** Resolves with the exit code. */
  readonly end: Promise<number>;
  /** The end of stderr that nobody reads so far: a pipe as a shell makes it. */
  readonly log: number;
}

async function serve(name: string, args: readonly string[] = []): Promise<Server> {
  const fifo = join(folder, name);
  execFileSync("mkfifo", [fifo]);
  const log = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const stderr = openSync(fifo, constants.O_WRONLY);
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [script, "serve", "--json", "--port", "0", ...args], {
    env: { PATH, HOME, DATABASE_URL: databaseUrl },
    cwd: "/",
    stdio: ["ignore", "pipe", stderr],
  });
  closeSync(stderr);
  const end = once(child, "exit").then(([code]) => code as number);
  afterFile(async () => {
    child.kill("SIGKILL");
    await end;
  });
  const [line] = await once(
    createInterface({ input: child.stdout as NodeJS.ReadableStream }),
    "line",
  );
  return { url: JSON.parse(line).url, child, end, log };
}

/** So many that fail, one after another. */
async function fail(url: string, count: number): Promise<void> {
  const client = createApiClient(url);
  for (let n = 0; n < count; n++) {
    const { status } = await client.put("/api/users/1/balance", { amount: -1 });
    expect(status).toBe(500);
  }
}

/** Everything until the other side is closed. */
async function readAll(fd: number): Promise<Record<string, unknown>[]> {
  const socket = new Socket({ fd, readable: true, writable: false });
  let text = "";
  socket.setEncoding("utf8").on("data", (part) => {
    text += part;
  });
  await once(socket, "close");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test.each([[[]], [["--workers", "2"]]])(
  "a pipe that nobody reads stops nothing: requests are answered, and the server ends (serve %j)",
  async (args) => {
    const { url, child, end, log } = await serve(`unread${args.length}`, args);
    // Twice what a pipe holds, and more.
    await fail(url, 6);
    expect((await createApiClient(url).get("/healthz")).status).toBe(200);
    expect(await createApiClient(url).balanceOf(1)).toBe(10_000);
    child.kill("SIGTERM");
    expect(await end).toBe(0);
    closeSync(log);
  },
);

test("what was logged is all there in the end, whole and in order, for a reader that comes late", async () => {
  const { url, child, end, log } = await serve("late");
  await fail(url, 20);
  const lines = readAll(log);
  child.kill("SIGTERM");
  expect(await end).toBe(0);
  const all = await lines;
  expect(all.filter(({ msg }) => msg === "internal error").length).toBe(20);
  const failed = all.filter(({ lane }) => lane !== undefined);
  expect(failed.reduce((sum, { batches }) => sum + Number(batches), 0)).toBe(20);
  expect(failed.length).toBeLessThan(20);
  expect(all.some(({ msg }) => msg === "stopping")).toBe(true);
});

test("beyond the bound lines are dropped, and counted when somebody reads again", async () => {
  const { url, child, end, log } = await serve("bounded");
  await fail(url, 60);
  const lines = readAll(log);
  await createApiClient(url).get("/healthz");
  child.kill("SIGTERM");
  expect(await end).toBe(0);
  const all = await lines;
  const said = all.filter(({ msg }) => msg === "internal error").length;
  const dropped = all.reduce((sum, line) => sum + Number(line["dropped"] ?? 0), 0);
  expect(said).toBeLessThan(60);
  expect(dropped).toBeGreaterThanOrEqual(60 - said);
});

test("a lane that fails says so once a second, with a count of the rest", async () => {
  const said: unknown[] = [];
  let heard = () => {};
  const error = (fields: object, message: string) => {
    said.push({ ...fields, message });
    heard();
  };
  const failures = logFailures({ error } as unknown as Logger, 50);
  const lost = new BalancectlError("DATABASE_UNAVAILABLE", "lost");
  const next = new Promise<void>((resolve) => {
    heard = () => said.length === 3 && resolve();
  });
  for (const operations of [1, 2, 3]) failures.batchFailed?.({ lane: 0, operations, error: lost });
  failures.batchFailed?.({ lane: 1, operations: 4, error: lost });
  const line = { code: "DATABASE_UNAVAILABLE", err: undefined, message: "lost" };
  expect(said).toEqual([
    { lane: 0, batches: 1, operations: 1, ...line },
    { lane: 1, batches: 1, operations: 4, ...line },
  ]);
  await next;
  expect(said[2]).toEqual({ lane: 0, batches: 2, operations: 5, ...line });
  failures.batchFailed?.({ lane: 0, operations: 6, error: lost });
  failures.end();
  expect(said[3]).toEqual({ lane: 0, batches: 1, operations: 6, ...line });
});
