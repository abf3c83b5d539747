/** The life of the embedded server, with real processes: who starts it, who uses it, who stops it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import {
  chmod,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedPostgres, openEmbeddedPostgres } from "../../src/database/embedded/open.ts";

// Creating a cluster takes 0.7 s on an idle machine, and much longer on a busy one.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const checkout = join(import.meta.dirname, "../..");
const opened: EmbeddedPostgres[] = [];
const children: ChildProcess[] = [];
let scratch: string;
let shared: string;

/** Compiles the module for the tests that need another process: Node 20 does not run TypeScript. */
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "balancectl-embedded-"));
  // As root, PostgreSQL's user must get through.
  await chmod(scratch, 0o755);
  shared = join(scratch, "shared");
  await writeFile(join(scratch, "package.json"), '{"type":"module"}');
  await symlink(join(checkout, "node_modules"), join(scratch, "node_modules"));
  await writeFile(
    join(scratch, "tsconfig.json"),
    JSON.stringify({
      extends: join(checkout, "tsconfig.json"),
      compilerOptions: { noEmit: false, outDir: "out", rootDir: join(checkout, "src") },
      files: [join(checkout, "src/database/embedded/open.ts")],
      include: [],
    }),
  );
  const tsc = join(checkout, "node_modules/typescript/bin/tsc");
  await promisify(execFile)(process.execPath, [tsc, "-p", scratch]);
  await writeFile(
    join(scratch, "opener.js"),
    `import { openEmbeddedPostgres } from "./out/database/embedded/open.js";
     const { url, startedHere, close } = await openEmbeddedPostgres({ dataDir: process.argv[2] });
     console.log(JSON.stringify({ url, startedHere }));
     process.stdin.once("data", () => close().then(() => process.stdin.destroy()));`,
  );
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

afterAll(async () => {
  for (const name of await readdir(scratch)) {
    const dataDir = join(scratch, name);
    // After a failed test only: the last user stops the server.
    if (await postmaster(dataDir)) await openEmbeddedPostgres({ dataDir }).then((o) => o.close());
  }
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
});

async function open(dataDir: string, more: { onProgress?: (line: string) => void } = {}) {
  const one = await openEmbeddedPostgres({ dataDir, ...more });
  opened.push(one);
  return one;
}

/** A busy machine may add a line about waiting; root's closed checkout one about copying. */
function progress() {
  const lines: string[] = [];
  const onProgress = (line: string) => {
    if (!/^(Waiting|Copying)/.test(line)) lines.push(line);
  };
  return { lines, onProgress };
}

/** Opens in another process, which closes when `leave` is called. */
async function openElsewhere(dataDir: string) {
  const child = spawn(process.execPath, [join(scratch, "opener.js"), dataDir], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(createInterface(child.stdout), "line");
  const leave = async () => {
    const exit = once(child, "exit");
    child.stdin.write("leave\n");
    expect(await exit).toEqual([0, null]);
  };
  return { child, leave, ...(JSON.parse(line) as { url: string; startedHere: boolean }) };
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function postmaster(dataDir: string): Promise<number | undefined> {
  const path = join(dataDir, "postgres-18/data/postmaster.pid");
  return Number((await readFile(path, "utf8").catch(() => "")).split("\n")[0]) || undefined;
}

async function expectStopped({ url, dataDir = shared }: { url: string; dataDir?: string }) {
  expect(await postmaster(dataDir)).toBeUndefined();
  await expect(query(url, "SELECT 1")).rejects.toMatchObject({ code: "ENOENT" });
}

async function contents(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, "postgres-18"));
  return names.filter((name) => !/^install-\d/.test(name)).sort();
}

const mode = async (path: string) => (await stat(path)).mode & 0o777;

describe("the first start", () => {
  test("creates a private, durable database that no network reaches", async () => {
    const { lines, onProgress } = progress();
    const one = await open(shared, { onProgress });
    const folder = join(shared, "postgres-18");
    expect(lines).toEqual([
      expect.stringMatching(/^Creating the embedded PostgreSQL in .*postgres-18$/),
      "Starting the embedded PostgreSQL",
    ]);
    expect(one).toMatchObject({ dataDir: shared, startedHere: true, address: undefined });
    const password = new URL(one.url).password;
    expect(password).toMatch(/^[\w-]{32}$/);
    const data = join(folder, "data");
    expect(one.url).toBe(
      `postgres://balancectl:${password}@${encodeURIComponent(data)}:5432/balancectl`,
    );
    const [settings] = await query(
      one.url,
      `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
         current_setting('listen_addresses') AS listen, current_setting('max_connections') AS max,
         current_setting('unix_socket_directories') AS sockets,
         current_setting('TimeZone') AS zone, datcollate AS locale,
         pg_encoding_to_char(encoding) AS encoding, rolsuper AS super,
         rolpassword LIKE 'SCRAM-SHA-256$%' AS scram
       FROM pg_database, pg_authid WHERE datname = current_database() AND rolname = current_user`,
    );
    expect(settings).toEqual({
      ...{ fsync: "on", commit: "on", listen: "", max: "200", sockets: "." },
      ...{ zone: "UTC", locale: "C", encoding: "UTF8", super: true, scram: true },
    });
    const asRoot = process.getuid?.() === 0;
    expect(await mode(shared)).toBe(asRoot ? 0o711 : 0o700);
    expect(await mode(folder)).toBe(asRoot ? 0o711 : 0o700);
    expect(await mode(join(folder, "data"))).toBe(0o700);
    expect(await mode(join(folder, "data/pgpass"))).toBe(0o600);
    expect(await mode(join(folder, "server.log"))).toBe(0o600);
    const socket = await stat(join(data, ".s.PGSQL.5432"));
    expect([socket.isSocket(), socket.mode & 0o777]).toEqual([true, 0o700]);
    expect(await readFile(join(folder, "data/pgpass"), "utf8")).toBe(
      `${data}:*:*:balancectl:${password}\n`,
    );
    expect(await contents(shared)).toEqual(["data", "in-use.json", "server.log"]);
  });

  test("made by several at once is made once, and serves them all", async () => {
    const dataDir = join(scratch, "race");
    const [here, alsoHere, there] = await Promise.all([
      open(dataDir),
      open(dataDir),
      openElsewhere(dataDir),
    ]);
    expect(new Set([here.url, alsoHere.url, there.url]).size).toBe(1);
    expect([here, alsoHere, there].filter((one) => one.startedHere)).toHaveLength(1);
    await Promise.all([here.close(), alsoHere.close(), there.leave()]);
    await expectStopped(here);
    expect(await contents(dataDir)).toEqual(["data", "in-use.json", "server.log"]);
  });

  test("leaves the mode of a folder that was there alone", async () => {
    const dataDir = await mkdtemp(join(scratch, "given-"));
    await chmod(dataDir, 0o755);
    await open(dataDir);
    expect(await mode(dataDir)).toBe(0o755);
  });
});

describe("the server", () => {
  test("keeps its data when it is stopped", async () => {
    const first = await open(shared);
    await query(first.url, "CREATE TABLE kept AS SELECT 42 AS answer");
    await Promise.all([first.close(), first.close()]);
    await expectStopped(first);
    const second = await open(shared);
    expect(second.startedHere).toBe(true);
    expect(await query(second.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });

  test("is used by a second opener, and stopped by the last", async () => {
    const first = await open(shared);
    const second = await open(shared);
    expect(second).toMatchObject({ url: first.url, startedHere: false });
    await first.close();
    expect(await query(second.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await second.close();
    await expectStopped(second);
  });

  test("is used by another process, and outlives the one that started it", async () => {
    const there = await openElsewhere(shared);
    const here = await open(shared);
    expect(there.startedHere).toBe(true);
    expect(here).toMatchObject({ url: there.url, startedHere: false });
    await there.leave();
    expect(await query(here.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await here.close();
    await expectStopped(here);
  });

  test("left behind by a killed process is used and stopped by the next", async () => {
    const there = await openElsewhere(shared);
    const exit = once(there.child, "exit");
    there.child.kill("SIGKILL");
    await exit;
    const here = await open(shared);
    expect(here).toMatchObject({ url: there.url, startedHere: false });
    // The killed one's lock goes with its connection, as soon as the server has noticed.
    await vi.waitFor(async () => expect(await leases(here.url)).toHaveLength(1));
    await here.close();
    await expectStopped(here);
  });

  test("stays ours when the connection that counts us is cut", async () => {
    const first = await open(shared);
    const [before] = await leases(first.url);
    await query(first.url, `SELECT pg_terminate_backend(${before}, 5000)`);
    await vi.waitFor(async () => expect(await leases(first.url)).toHaveLength(1));
    expect(await leases(first.url)).not.toEqual([before]);
    const second = await open(shared);
    await second.close();
    expect(await query(first.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

async function leases(url: string): Promise<unknown[]> {
  const rows = await query(url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted");
  return rows.map((row) => row["pid"]);
}

describe("a server at another place than here is usual", () => {
  test("left running on loopback by an earlier version is used, and the next has a socket", async () => {
    const dataDir = join(scratch, "earlier");
    const passfile = join(dataDir, "postgres-18/data/pgpass");
    const earlier = await openEmbeddedPostgres({ dataDir, listen: { tcpPort: 0 } });
    opened.push(earlier);
    const { password, port } = new URL(earlier.url);
    expect(earlier).toMatchObject({ address: `127.0.0.1:${port}` });
    await writeFile(passfile, `127.0.0.1:*:*:balancectl:${password}\n`);
    await query(earlier.url, "CREATE TABLE kept AS SELECT 42 AS answer");
    const now = await open(dataDir);
    expect(now).toMatchObject({ url: earlier.url, startedHere: false });
    await earlier.close();
    await now.close();
    const next = await open(dataDir);
    expect(next).toMatchObject({ address: undefined, startedHere: true });
    expect(await query(next.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    const data = join(dataDir, "postgres-18/data");
    expect(await readFile(passfile, "utf8")).toBe(`${data}:*:*:balancectl:${password}\n`);
    expect(await mode(passfile)).toBe(0o600);
  });

  test("in a folder whose name is too long for a socket, or has a comma: by a private link", async () => {
    const dataDir = join(scratch, `a,${"long-".repeat(20)}`);
    const here = await open(dataDir);
    const there = await openElsewhere(dataDir);
    const folderOf = ({ url }: { url: string }) => decodeURIComponent(new URL(url).hostname);
    for (const one of [here, there]) {
      expect(folderOf(one).length).toBeLessThan(90);
      expect(await readlink(folderOf(one))).toBe(join(dataDir, "postgres-18/data"));
      expect(await mode(dirname(folderOf(one)))).toBe(0o700);
      expect(await query(one.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    }
    expect(folderOf(here)).not.toBe(folderOf(there));
    await there.leave();
    await here.close();
    for (const one of [here, there]) {
      await expect(stat(dirname(folderOf(one)))).rejects.toMatchObject({ code: "ENOENT" });
    }
    expect(await postmaster(dataDir)).toBeUndefined();
  });
});

describe("after a crash", () => {
  async function killServer(one: EmbeddedPostgres) {
    const client = new pg.Client(one.url);
    client.on("error", () => {});
    await client.connect();
    const end = new Promise((resolve) => client.once("end", resolve));
    process.kill((await postmaster(one.dataDir)) as number, "SIGKILL");
    await end;
    await one.close();
  }

  test("what was committed is there again", async () => {
    const first = await open(shared);
    await query(first.url, "CREATE TABLE survived AS SELECT 'committed' AS state");
    await killServer(first);
    const { lines, onProgress } = progress();
    const second = await open(shared, { onProgress });
    expect(lines).toEqual(["Recovering the embedded PostgreSQL, which was not stopped properly"]);
    expect(await query(second.url, "SELECT state FROM survived")).toEqual([{ state: "committed" }]);
  });

  test("a process number that is now another program's does not stop it", async () => {
    await killServer(await open(shared));
    const { uid, gid } = await stat(join(shared, "postgres-18/data"));
    // Of the same user, as PostgreSQL takes no notice of another's.
    const ids = process.getuid?.() === 0 ? { uid, gid } : {};
    const stranger = spawn("sleep", ["60"], { ...ids, cwd: "/", stdio: "ignore" });
    children.push(stranger);
    await once(stranger, "spawn");
    for (const pid of [stranger.pid, process.pid]) {
      const path = join(shared, "postgres-18/data/postmaster.pid");
      const lines = (await readFile(path, "utf8")).split("\n");
      await writeFile(path, [pid, ...lines.slice(1)].join("\n"));
      const one = await open(shared);
      expect(one.startedHere).toBe(true);
      await killServer(one);
    }
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });
});

describe("giving up", () => {
  test("while creating stops before a server is started", async () => {
    const dataDir = join(scratch, "aborted");
    const controller = new AbortController();
    const reason = new Error("Ctrl-C");
    const onProgress = () => controller.abort(reason);
    const opening = openEmbeddedPostgres({ dataDir, onProgress, signal: controller.signal });
    await expect(opening).rejects.toBe(reason);
    expect(await contents(dataDir)).toEqual(["data"]);
  });

  test("while starting stops the server that was started", async () => {
    await open(shared).then((one) => one.close());
    const controller = new AbortController();
    const reason = new Error("Ctrl-C");
    const watcher = watch(join(shared, "postgres-18/data"), (_event, name) => {
      if (name === "postmaster.pid") controller.abort(reason);
    });
    const { lines, onProgress } = progress();
    const opening = openEmbeddedPostgres({
      dataDir: shared,
      onProgress,
      signal: controller.signal,
    });
    await expect(opening).rejects.toBe(reason);
    watcher.close();
    expect(lines).toEqual(["Starting the embedded PostgreSQL"]);
    expect(await postmaster(shared)).toBeUndefined();
  });
});
