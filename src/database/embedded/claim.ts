/**
 * One server to a cluster, whoever starts it and wherever. PostgreSQL's own lock file names a process by
 * its number, which means nothing in another container or on another machine, so that a second server
 * takes the first one for dead. Before a server is started the cluster is claimed:
 *
 * - On one machine by a lock of the kernel on a file of the cluster, which containers see as well. The
 *   server inherits the locked file and keeps it open, so the claim ends with its last process, however
 *   that ends, and there is nothing to clean up.
 * - Across machines, where a volume may not carry locks, and where no lock is to be had at all: by a note
 *   of who runs the server. Whoever uses the server touches it every two seconds; found on another
 *   machine it is watched, and a note that is touched meanwhile is respected.
 */
import { constants } from "node:fs";
import { type FileHandle, open, readFile, readlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Place } from "./place.ts";
import { runAs } from "./run-as.ts";

/** Who runs the server, for people and for those who start on another machine. */
export interface Holder {
  readonly host: string;
  /** The kernel's run, and its space of process numbers: where both are ours, so are the numbers. */
  readonly machine: string;
  readonly space: string;
  /** The balancectl that started it. */
  readonly pid: number;
  readonly since: string;
}

/** Ours, with the file that the server is to inherit; or somebody's, where that is known. */
export type Claim =
  | { readonly file: FileHandle; readonly holder?: undefined }
  | {
      readonly file?: undefined;
      readonly holder: Holder | undefined;
      /** Whether its processes can be seen from here: then the server will be. */
      readonly isNear: boolean;
    };

const beatMs = 2_000;

/** Three beats: a process that is busy may be late with one. */
const watchMs = 6_000;

/**
 * Claims the cluster for a server that the caller starts, and leaves a note of it. The caller closes the
 * file as soon as the server has inherited it.
 * @param lockProgram flock(1), of util-linux or busybox; Node itself has no way to lock
 */
export async function claimCluster(
  place: Place,
  onProgress: (line: string) => void,
  lockProgram = "flock",
): Promise<Claim> {
  const locked = await lock(place, lockProgram);
  const self = await ourselves();
  const holder = await readHolder(place);
  const isNear = holder?.machine === self.machine && holder.space === self.space;
  if (locked === "busy") return { holder, isNear };
  const { file, byKernel } = locked;
  try {
    const isElsewhere =
      holder !== undefined &&
      (holder.machine !== self.machine || (!byKernel && holder.space !== self.space));
    if (isElsewhere) {
      onProgress(`Looking whether ${holder.host} still uses the embedded PostgreSQL`);
      if (await isTouched(place)) {
        await file.close();
        return { holder, isNear };
      }
    }
    await writeFile(noteOf(place), `${JSON.stringify(self)}\n`, { mode: 0o644 });
    return { file };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Keeps the note fresh as long as we use the server. @returns what ends that */
export function keepTouching(place: Place): () => void {
  const beat = setInterval(() => {
    const now = new Date();
    void utimes(noteOf(place), now, now).catch(() => {});
  }, beatMs).unref();
  return () => clearInterval(beat);
}

/** After the server was stopped: nobody need watch a note that nobody touches. */
export async function clearNote(place: Place): Promise<void> {
  const locked = await lock(place, "flock");
  // Another has started a server in the meantime, and the note is its own.
  if (locked === "busy") return;
  try {
    const holder = await readHolder(place);
    const self = await ourselves();
    const isOurs = holder?.machine === self.machine && holder.space === self.space;
    if (isOurs) await writeFile(noteOf(place), "");
  } finally {
    await locked.file.close();
  }
}

function noteOf({ folder }: Place): string {
  return join(folder, "in-use.json");
}

async function readHolder(place: Place): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(noteOf(place), "utf8")) as Holder;
  } catch {
    // None yet, or it is being written.
    return undefined;
  }
}

async function ourselves(): Promise<Holder> {
  const host = hostname();
  // Neither exists but on Linux, and nowhere else are there containers.
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => host);
  const space = await readlink("/proc/self/ns/pid").catch(() => "");
  const since = new Date().toISOString();
  return { host, machine: bootId.trim(), space, pid: process.pid, since };
}

async function isTouched(place: Place): Promise<boolean> {
  const before = await touchedAt(place);
  const deadline = Date.now() + watchMs;
  while (Date.now() < deadline) {
    await sleep(250);
    if ((await touchedAt(place)) !== before) return true;
  }
  return false;
}

/** By opening it: a network file system asks its server then, and not its memory. */
async function touchedAt(place: Place): Promise<number> {
  const note = await open(noteOf(place));
  try {
    return (await note.stat()).mtimeMs;
  } finally {
    await note.close();
  }
}

/** BSD and macOS lock on opening. @see https://man.freebsd.org/cgi/man.cgi?open(2) */
const lockOnOpening = 0x20;

/** The lock is on a file that is there as long as the cluster is, so that nobody can clear it away. */
async function lock(
  { data }: Place,
  program: string,
): Promise<{ file: FileHandle; byKernel: boolean } | "busy"> {
  const path = join(data, "PG_VERSION");
  if (process.platform === "darwin") {
    try {
      const flags = constants.O_RDWR | constants.O_NONBLOCK | lockOnOpening;
      return { file: await open(path, flags), byKernel: true };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") return "busy";
      if (code !== "EOPNOTSUPP" && code !== "ENOTSUP") throw error;
    }
  }
  const file = await open(path, constants.O_RDWR);
  if (process.platform !== "linux") return { file, byKernel: false };
  // The lock is the open file's, not the process's that asks for it: it stays when flock(1) ends.
  const { code, output } = await runAs(undefined, program, ["-n", "3"], "/", file.fd).catch(() => ({
    code: null,
    output: "",
  }));
  if (code === 1 && output === "") {
    await file.close();
    return "busy";
  }
  return { file, byKernel: code === 0 };
}
