/** Output that nobody takes, or takes slowly: everything arrives, or the exit code says so. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { script, startServer } from "../support/server/program.ts";

const databaseUrl = await createTestDatabase();
/** More than a page, and several times what a pipe holds. Those beside user 1 lack their entries. */
const usersMax = 2_500;
await seed();

async function seed(): Promise<void> {
  await psql(
    databaseUrl,
    `DO $$ BEGIN
       SET LOCAL session_replication_role = replica;
       INSERT INTO users (id, balance, version) SELECT i, 0, 5 FROM generate_series(2, ${usersMax}) i;
       INSERT INTO users (id, balance, version) VALUES (100000, 2500, 2500);
       INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
         SELECT 100000, i, 1, i, 'adjustment', clock_timestamp() FROM generate_series(1, 2500) i;
     END $$`,
  );
}

const env = { PATH: process.env["PATH"], DATABASE_URL: databaseUrl, LOG_LEVEL: "warn" };

function start(args: readonly string[], stdout: "pipe" | number = "pipe", stderr = "pipe") {
  return spawn(process.execPath, [script, ...args], {
    env,
    stdio: ["ignore", stdout, stderr as "pipe"],
  });
}

async function textOf(stream: AsyncIterable<Buffer> | null): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Reads so slowly that the program has long finished when its last words are taken. */
async function readSlowly(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  const child = start(args);
  const closed = once(child, "close");
  child.stderr?.resume();
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    // The slowness itself: nothing is waited for.
    await sleep(100);
  }
  const [code] = await closed;
  return { code, stdout: Buffer.concat(chunks).toString() };
}

describe("a slow reader gets everything", () => {
  test("of a list, as one document", async () => {
    const { code, stdout } = await readSlowly(["users", "list", "--limit", "9000", "--json"]);
    const { success, data } = JSON.parse(stdout);
    const ids = data.users.map(({ id }: { id: number }) => id);
    const all = Array.from({ length: usersMax }, (_, index) => index + 1);
    expect([code, success, data.next, ids]).toEqual([0, true, null, [...all, 100_000]]);
  });

  test.each([
    [["--csv"], 2_501],
    [["--json"], 2_500],
    [[], 2_501],
  ])("of a journal, %j", async (flags, lines) => {
    const { code, stdout } = await readSlowly(["history", "100000", "--order", "asc", ...flags]);
    expect([code, stdout.split("\n").length - 1, stdout.at(-1)]).toEqual([0, lines, "\n"]);
  });

  test("of a verdict with many findings, and its exit code", async () => {
    const { code, stdout } = await readSlowly(["verify", "--json"]);
    const { ok, findings } = JSON.parse(stdout);
    expect([code, ok, findings.length]).toEqual([1, false, 1_000]);
  });
});

test("a list that fails midway is one document all the same, and says so", async () => {
  const child = start(["users", "list", "--limit", "9000", "--json"]);
  const closed = once(child, "close");
  await once(child.stdout as NodeJS.ReadableStream, "readable");
  // It cannot go on to the second page before it is read.
  await psql(databaseUrl, "ALTER TABLE users RENAME TO users_gone");
  try {
    const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    const { success, error, data } = JSON.parse(stdout);
    expect([(await closed)[0], stderr, success]).toEqual([1, "", false]);
    expect(error).toEqual({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("does not have the schema"),
    });
    expect([1_000, 2_000]).toContain(data.users.length);
  } finally {
    await psql(databaseUrl, "ALTER TABLE users_gone RENAME TO users");
  }
});

/** Commands that write in their different manners, each with the exit code that it would end with. */
const commands: [args: string[], code: number][] = [
  [["users", "show", "1"], 0],
  [["adjust", "1", "1"], 0],
  [["adjust", "1", "-20000", "--json"], 3],
  [["history", "100000", "--csv"], 0],
  [["verify", "--user", "2"], 1],
  [["--help"], 0],
];

describe.skipIf(!existsSync("/dev/full"))("a full disk", () => {
  test.each(commands)("under %j: exit code and a word", async (args, code) => {
    const full = openSync("/dev/full", "w");
    const child = start(args, full);
    closeSync(full);
    const [stderr, [exit]] = await Promise.all([textOf(child.stderr), once(child, "close")]);
    const lines = stderr.split("\n").filter((line) => line.startsWith("balancectl: The output"));
    expect([exit, lines.length]).toEqual([code || 1, 1]);
    expect(lines[0]).toContain("could not be written (ENOSPC: no space left on device, write)");
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("under stderr changes nothing", async () => {
    const full = openSync("/dev/full", "w");
    const child = spawn(process.execPath, [script, "users", "show", "2"], {
      env,
      stdio: ["ignore", "pipe", full],
    });
    closeSync(full);
    const [stdout, [code]] = await Promise.all([textOf(child.stdout), once(child, "close")]);
    expect([code, stdout.split("\n").length]).toEqual([0, 3]);
  });
});

describe("a reader that has gone", () => {
  test.each(commands)("under %j is no error, and a verdict stays one", async (args, code) => {
    const child = start(args);
    child.stdout?.destroy();
    const [stderr, [exit]] = await Promise.all([textOf(child.stderr), once(child, "close")]);
    expect(exit).toBe(code);
    expect(stderr).not.toContain("balancectl: ");
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("of stderr is no error either", async () => {
    const child = start(["users", "show", "2"]);
    child.stderr?.destroy();
    const [stdout, [code]] = await Promise.all([textOf(child.stdout), once(child, "close")]);
    expect([code, stdout.split("\n").length]).toEqual([0, 3]);
  });

  test("midway ends the command: its sessions are closed", async () => {
    const child = start(["history", "100000"]);
    child.stderr?.resume();
    await once(child.stdout as NodeJS.ReadableStream, "readable");
    child.stdout?.destroy();
    expect((await once(child, "close"))[0]).toBe(0);
    expect(await sessions()).toBe(0);
  });
});

describe("a reader that never reads", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("is not waited for after %s", async (signal, exitCode) => {
    const child = start(["history", "100000", "--json"]);
    child.stderr?.resume();
    await once(child.stdout as NodeJS.ReadableStream, "readable");
    child.kill(signal);
    const [code] = await once(child, "exit");
    expect([code, await sessions()]).toEqual([exitCode, 0]);
  });
});

test("a server whose stdout was closed goes on", async () => {
  const server = await startServer(env);
  server.child.stdout?.destroy();
  const { status } = await fetch(`${server.url}/api/users/1`);
  expect([status, await server.stop()]).toEqual([200, 0]);
});

/** A session ends a moment after its client. */
async function sessions(): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()`;
  for (let tries = 0; ; tries += 1) {
    const [row] = await psql<{ count: number }>(databaseUrl, sql);
    if (row?.count === 0 || tries === 100) return row?.count ?? -1;
  }
}
