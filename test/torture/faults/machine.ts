/** The machine under PostgreSQL: its disk is full, its clock jumps. Not everywhere to be had. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chown, mkdir, readdir, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Cluster } from "../stage/cluster.ts";
import type { Fault } from "./fault.ts";

const run = promisify(execFile);

const diskMegabytes = 64;

const diskFolder = (cluster: Cluster) => join(cluster.folder, "small-disk");

/** The tables are on a small disk of their own: with the log there too, PostgreSQL would stop. */
const diskFull: Fault = {
  name: "disk-full",
  impossible: async () =>
    process.platform === "linux" && process.getuid?.() === 0
      ? undefined
      : "a small disk is mounted, which takes root on Linux",
  prepare: async ({ cluster, undo }) => {
    const folder = diskFolder(cluster);
    await mkdir(folder);
    await run("mount", ["-t", "tmpfs", "-o", `size=${diskMegabytes}m,mode=0755`, "tmpfs", folder]);
    undo.push(async () => {
      await run("umount", [folder]);
      await rm(folder, { recursive: true });
    });
    const space = join(folder, "space");
    await mkdir(space, { mode: 0o700 });
    const { user } = cluster;
    if (user) await chown(space, user.uid, user.gid);
    await cluster.admin(`CREATE TABLESPACE small LOCATION '${space}'`);
    undo.push(() => cluster.admin("DROP TABLESPACE small"));
    return "TABLESPACE small";
  },
  inject: async ({ cluster, undo }) => {
    const ballast = join(diskFolder(cluster), "ballast");
    undo.push(() => rm(ballast));
    const { bavail, bsize } = await statfs(diskFolder(cluster));
    await writeFile(ballast, Buffer.alloc(bavail * bsize)).catch((error) => {
      if (error.code !== "ENOSPC") throw error;
    });
  },
};

const libraries = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

async function findFaketime(): Promise<string | undefined> {
  for (const folder of libraries.filter((one) => existsSync(one))) {
    const below = (await readdir(folder)).filter((name) => name.endsWith("-linux-gnu"));
    for (const name of ["", ...below]) {
      const path = join(folder, name, "faketime/libfaketime.so.1");
      if (existsSync(path)) return path;
    }
  }
  return undefined;
}

const clockFile = (cluster: Cluster) => join(cluster.folder, "clock");

/** Renamed into place: a process that reads half of it ends. */
async function setClock(cluster: Cluster, seconds: number): Promise<void> {
  const file = clockFile(cluster);
  await writeFile(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
  await rename(`${file}.new`, file);
}

/** PostgreSQL's clock alone: it is the one that decides. */
const clockJump: Fault = {
  name: "clock-jump",
  impossible: async () =>
    (await findFaketime()) === undefined ? "libfaketime is not installed" : undefined,
  clusterEnv: async (cluster) => {
    await setClock(cluster, 0);
    return {
      LD_PRELOAD: (await findFaketime()) ?? "",
      FAKETIME_TIMESTAMP_FILE: clockFile(cluster),
      // Seconds. The library reads the file where a signal may have come in the middle of anything: seldom,
      // since a process may crash of it.
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  },
  inject: async ({ cluster, dice, undo, note }) => {
    const seconds = dice.below(2 * 86_400) - 86_400;
    undo.push(() => setClock(cluster, 0));
    await setClock(cluster, seconds);
    await cluster.answers();
    const [row] = await cluster.admin("SELECT clock_timestamp()::text AS now");
    note(`${seconds} s: PostgreSQL thinks it is ${row?.["now"]}`);
  },
  lasts: [1_500, 3_000],
  // Times that have not come are what verify has to name.
  settle: ({ cluster }) => setClock(cluster, 86_400),
};

export const machineFaults: readonly Fault[] = [diskFull, clockJump];
