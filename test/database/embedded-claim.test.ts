/** Two containers, or two machines, on one data folder: one server, and the other is told so. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, open, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { claimCluster } from "../../src/database/embedded/claim.ts";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";
import { preparePlace } from "../../src/database/embedded/place.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";

// Most of the time is waiting for others, so they wait together.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const quiet = () => {};

interface Folder {
  readonly dataDir: string;
  readonly folder: string;
  readonly note: string;
}

/** Removed after the file, when everything that the tests started has been killed. */
async function emptyFolder(): Promise<Folder> {
  const dataDir = await mkdtemp(join(tmpdir(), "balancectl-claim-"));
  await chmod(dataDir, 0o755);
  afterFile(() => rm(dataDir, { recursive: true, force: true }));
  const folder = join(dataDir, "postgres-18");
  return { dataDir, folder, note: join(folder, "in-use.json") };
}

async function folderWithCluster(): Promise<Folder> {
  const made = await emptyFolder();
  const { close } = await openEmbeddedPostgres({ dataDir: made.dataDir });
  await close();
  return made;
}

function keep<T extends ChildProcess>(child: T): T {
  afterFile(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return child;
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** Namespaces of process numbers, network and the rest of its own, as a container has. */
const container = ["-pfin", "--mount-proc", "--kill-child", "sh", "-c"];

function canContain(): boolean {
  try {
    execFileSync("unshare", [...container, "ip link set lo up"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function contained({ dataDir }: Folder, command: string): ChildProcess {
  const program = `${process.execPath} ${join(packageRoot, "dist/bin/balancectl.js")}`;
  const script = `ip link set lo up; exec ${program} ${command}`;
  const env = {
    ...process.env,
    BALANCECTL_DATA_DIR: dataDir,
    DATABASE_URL: undefined,
    PORT: "3000",
  };
  return keep(
    spawn("unshare", [...container, script], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

async function ended(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output += chunk;
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}

describe.skipIf(!canContain())("in two containers on one folder", { concurrent: true }, () => {
  test("the second refuses and says who holds it; killed, the first leaves nothing behind", async () => {
    const folder = await emptyFolder();
    const first = contained(folder, "serve");
    for await (const chunk of first.stdout ?? []) if (/:3000/.test(String(chunk))) break;
    const second = await ended(contained(folder, "adjust 1 -3000"));
    expect(second.code).not.toBe(0);
    expect(second.output).toMatch(
      /in use elsewhere: process \d+ on \S+, since 20\d\d-\d\d-\d\dT[\d:.]+Z\. .*Stop that one first/s,
    );
    expect(second.output).toContain(`on ${hostname()}`);
    first.kill("SIGKILL");
    await once(first, "exit");
    const third = await ended(contained(folder, "adjust 1 -3000"));
    expect([third.code, third.output]).toEqual([
      0,
      expect.stringMatching(/User 1: 10,000 → 7,000/),
    ]);
  });

  test("of two that start at once one runs", async () => {
    const folder = await folderWithCluster();
    const both = [contained(folder, "serve"), contained(folder, "serve")];
    const refused = await Promise.race(both.map(ended));
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain("in use elsewhere");
    const [left] = both.filter((one) => one.exitCode === null);
    expect(left?.kill("SIGKILL")).toBe(true);
  });
});

describe.concurrent("a folder whose files somebody has locked", () => {
  test("is refused, in words, until the lock is gone", async () => {
    const { dataDir, folder, note } = await folderWithCluster();
    const other = {
      ...{ host: "web-7", machine: await bootId(), space: "pid:[1]", pid: 12 },
      since: "2026-01-31T12:00:00.000Z",
    };
    await writeFile(note, JSON.stringify(other));
    const holder = spawn("flock", [join(folder, "data/PG_VERSION"), "-c", "echo held; read line"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    keep(holder);
    await once(holder.stdout as NodeJS.ReadableStream, "data");
    await expect(openEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      code: "EMBEDDED_UNAVAILABLE",
      message: expect.stringContaining(
        "is in use elsewhere: process 12 on web-7, since 2026-01-31T12:00:00.000Z. ",
      ),
    });
    holder.stdin.end("\n");
    await once(holder, "close");
    const { close } = await openEmbeddedPostgres({ dataDir });
    const running = JSON.parse(await readFile(note, "utf8"));
    expect(running).toMatchObject({ host: hostname(), pid: process.pid });
    await close();
    expect(await readFile(note, "utf8")).toBe("");
  });
});

describe.concurrent("a folder in use on another machine", () => {
  const far = {
    host: "far",
    machine: "of another run of a kernel",
    space: "",
    pid: 12,
    since: "s",
  };

  async function touchedWhile<T>(note: string, work: Promise<T>): Promise<T> {
    const beat = setInterval(() => {
      const now = new Date();
      void utimes(note, now, now).catch(() => {});
    }, 500);
    try {
      return await work;
    } finally {
      clearInterval(beat);
    }
  }

  test("is refused while the note is touched, and used when it no longer is", async () => {
    const { dataDir, note } = await folderWithCluster();
    await writeFile(note, JSON.stringify(far));
    await expect(touchedWhile(note, openEmbeddedPostgres({ dataDir }))).rejects.toMatchObject({
      code: "EMBEDDED_UNAVAILABLE",
      message: expect.stringContaining("in use elsewhere: process 12 on far, since s"),
    });
    const said: string[] = [];
    const { close } = await openEmbeddedPostgres({
      dataDir,
      onProgress: (line) => said.push(line),
    });
    expect(said[0]).toBe("Looking whether far still uses the embedded PostgreSQL");
    await close();
  });

  test("and where no lock is to be had, in another container of this machine as well", async () => {
    const { dataDir, note } = await folderWithCluster();
    const place = await preparePlace(dataDir);
    const beside = { ...far, machine: await bootId(), space: "pid:[1]" };
    await writeFile(note, JSON.stringify(beside));
    const claim = await touchedWhile(note, claimCluster(place, quiet, "no-such-program"));
    expect(claim.holder).toEqual(beside);
    // Our own numbers of processes need no watching.
    const again = await claimCluster(place, quiet, "flock");
    await again.file?.close();
    const startedAt = Date.now();
    const own = await claimCluster(place, quiet, "no-such-program");
    // Those of others are watched for 6 s.
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    await own.file?.close();
  });
});

test.concurrent("a server that uses the folder keeps its note fresh", async () => {
  const { dataDir, folder, note } = await emptyFolder();
  const { close } = await openEmbeddedPostgres({ dataDir });
  const touchedAt = async () => {
    const file = await open(note);
    const { mtimeMs } = await file.stat();
    await file.close();
    return mtimeMs;
  };
  const before = await touchedAt();
  while ((await touchedAt()) === before) await sleep(100);
  await close();
  await expect(
    promisify(execFile)("flock", ["-n", join(folder, "data/PG_VERSION"), "true"]),
  ).resolves.toBeTruthy();
});
