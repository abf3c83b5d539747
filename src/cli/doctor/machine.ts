/** What the machine and the process have: Node, open files, room on the disk. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileLimits } from "../../file-limits.ts";
import { grouped } from "../output.ts";
import { type Check, fail, ok, warn } from "./check.ts";

/** As package.json asks for it. */
const nodeMin = [20, 18, 1] as const;

export function checkNode(version: string): Check {
  const parts = version.replace(/^v/, "").split(".").map(Number);
  const at = nodeMin.findIndex((part, index) => part !== parts[index]);
  const isOld = at >= 0 && (parts[at] ?? 0) < (nodeMin[at] as number);
  if (!isOld) return ok("node", version);
  return fail("node", version, `Install Node ${nodeMin.join(".")} or newer`);
}

/** Each request that waits has a socket, and each of those is a file. */
export function checkOpenFiles({ soft }: FileLimits): Check {
  if (soft === undefined) return ok("open files", "the system does not say");
  const found = Number.isFinite(soft) ? grouped(soft) : "no limit";
  if (soft >= openFilesEnough) return ok("open files", found);
  return warn(
    "open files",
    found,
    `Allow more (ulimit -n 65536; LimitNOFILE=65536 of systemd): a server takes a file for each of its ` +
      `connections, and ${grouped(openFilesEnough)} are for 10,000 callers at once`,
  );
}

const openFilesEnough = 10_240;

/** @param dataDir of the embedded PostgreSQL; it may not be there yet */
export async function checkDisk(dataDir: string): Promise<Check> {
  const { bavail, blocks, bsize } = await statfs(await firstThatIsThere(dataDir));
  return judgeDisk(dataDir, bavail * bsize, blocks * bsize);
}

export function judgeDisk(dataDir: string, freeBytes: number, totalBytes: number): Check {
  const share = `${Math.round((100 * freeBytes) / totalBytes)} %`;
  const found = `${gigabytes(freeBytes)} free (${share}) for ${dataDir}`;
  const advice =
    "Make room, or move the folder (BALANCECTL_DATA_DIR): on a full disk every change is refused";
  if (freeBytes < 200_000_000) return fail("disk", found, advice);
  return freeBytes < 2_000_000_000 ? warn("disk", found, advice) : ok("disk", found);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

async function firstThatIsThere(path: string): Promise<string> {
  try {
    await statfs(path);
    return path;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path) throw error;
    return await firstThatIsThere(parent);
  }
}
