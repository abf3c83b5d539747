/**
 * The server process of the cluster: found by its `postmaster.pid`, started, stopped. `postgres` is
 * started directly and not through pg_ctl, which polls ten times a second (measured: 109 ms to
 * start and 104 ms to stop, of which PostgreSQL itself needs 15 and 23), and cannot tell at once
 * that the server gave up.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { open, readFile, readlink, realpath, rename, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BalancectlError } from "../../errors.ts";
import { type Binaries, locateBinaries } from "./binaries.ts";
import { absentIfMissing } from "./cluster.ts";
import type { Place } from "./place.ts";
import { childOptions, runAs } from "./run-as.ts";

/** A fast shutdown writes a checkpoint; this is a limit on a disk that hangs. */
const stopMsMax = 60_000;

/** The log starts afresh beyond this, with one predecessor kept. */
const logBytesMax = 10_000_000;

/** Where a server listens: an address, or the folder of its socket, and the port that names it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Where one is to listen: at a socket in the cluster's folder, which its user alone can enter, so that nobody else
 * can take its place; or on loopback, where anybody may who finds the port free (0: a free one).
 */
export type Listen = "socket" | { readonly tcpPort: number };

/** Windows has no sockets that PostgreSQL and Node could both use. */
export const listenByDefault: Listen = process.platform === "win32" ? { tcpPort: 0 } : "socket";

/** The socket's name: there is one in the folder. */
const socketPort = 5432;

/** What `postmaster.pid` says, and whether it is true. */
export interface FoundServer {
  readonly pid: number;
  /** Absent while the server has not got as far as writing it. */
  readonly address: ServerAddress | undefined;
  /** `gone`: it ended without tidying up, and its number may by now be another program's. */
  readonly process: "ours" | "gone" | "unknown";
}

/** The server that we are the parent of. */
export interface ServerProcess {
  readonly pid: number;
  readonly alive: () => boolean;
  readonly exited: Promise<unknown>;
  /** This process no longer stays for it. */
  readonly unref: () => void;
  /** Asks for a fast shutdown. */
  readonly interrupt: () => void;
  /** What it has logged, or the end of it. */
  readonly logged: () => Promise<string>;
}

export async function findServer(place: Place): Promise<FoundServer | undefined> {
  const text = await readFile(join(place.data, "postmaster.pid"), "utf8").catch(absentIfMissing);
  const lines = (text ?? "").split("\n");
  const number = Number(lines[0]);
  if (!number) return undefined;
  // Negative: a server in single-user mode, which listens nowhere.
  const pid = Math.abs(number);
  return { pid, address: addressIn(lines, place), process: await identify(pid, place) };
}

/** A server that an earlier version has left running, or Windows, listens on loopback. */
function addressIn(lines: readonly string[], { data }: Place): ServerAddress | undefined {
  const [, , , portLine, folder, address] = lines;
  const port = Number(portLine);
  if (!port) return undefined;
  if (folder) return { host: resolve(data, folder), port };
  return address ? { host: address, port } : undefined;
}

/**
 * @param claimed the claim on the cluster, which the server keeps open
 * @param stale the process number in a `postmaster.pid` that no server of this cluster owns
 */
export async function startServer(
  place: Place,
  binaries: Binaries,
  claimed: number,
  stale: number | undefined,
  listen: Listen = listenByDefault,
): Promise<ServerProcess> {
  const log = await openLog(place);
  try {
    const logStart = (await log.stat()).size;
    const options = childOptions(place.user, place.data);
    // PostgreSQL refuses to start while the number in postmaster.pid is that of a living process of
    // its user, unless it is an ancestor's. Naming it as one, the way pg_ctl does, leaves all else
    // in place that keeps two servers off one cluster; removing the file would not.
    if (stale !== undefined) options.env["PG_GRANDPARENT_PID"] = String(stale);
    const child = spawn(binaries.postgres, await serverArgs(place, listen), {
      ...options,
      stdio: ["ignore", log.fd, log.fd, claimed],
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    await once(child, "spawn");
    return {
      pid: child.pid as number,
      alive: () => child.exitCode === null && child.signalCode === null,
      exited,
      unref: () => child.unref(),
      interrupt: () => void child.kill("SIGINT"),
      logged: () => logTail(place, logStart),
    };
  } finally {
    await log.close();
  }
}

/**
 * Fast shutdown, waited for. The caller is connected to this server, so the process is known to be
 * that of this cluster.
 */
export async function stopServer(place: Place, pid: number): Promise<void> {
  const isRunning = async () => {
    const found = await findServer(place);
    return found?.pid === pid && found.process !== "gone";
  };
  if (!(await isRunning())) return;
  if (process.platform === "win32") {
    const { pgCtl } = await locateBinaries();
    await runAs(undefined, pgCtl, ["stop", "-D", place.data, "-m", "fast", "-W"], place.folder);
  } else {
    killIfThere(pid, "SIGINT");
  }
  const deadline = Date.now() + stopMsMax;
  // The file goes first, the process a moment later.
  while ((await isRunning()) || (await identify(pid, place)) === "ours") {
    if (Date.now() > deadline) {
      const message = `The embedded PostgreSQL did not stop within ${stopMsMax / 1000} s, see ${place.log}`;
      throw new BalancectlError("EMBEDDED_UNAVAILABLE", message);
    }
    await sleep(5);
  }
}

async function serverArgs(place: Place, listen: Listen): Promise<string[]> {
  const settings = { ...(await listenSettings(listen)), max_connections: 200 };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", place.data, ...flags];
}

/** The port comes first: `psCommand` looks for it. */
async function listenSettings(listen: Listen): Promise<Record<string, string | number>> {
  if (listen !== "socket") {
    const port = listen.tcpPort || (await freePort());
    return { port, listen_addresses: "127.0.0.1", unix_socket_directories: "" };
  }
  // From where it works, which is the cluster's folder: the name of a socket holds 107 bytes at the most.
  const sockets = { unix_socket_directories: ".", unix_socket_permissions: "0700" };
  return { port: socketPort, listen_addresses: "", ...sockets, unix_socket_group: "" };
}

/** Somebody may take it before PostgreSQL does: the caller then starts again with another. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}

/** Whether the process is a PostgreSQL of this cluster. `gone` is said only when it surely is not. */
async function identify(pid: number, place: Place): Promise<FoundServer["process"]> {
  if (process.platform === "win32") return killIfThere(pid, 0) ? "unknown" : "gone";
  const command =
    process.platform === "linux" ? await linuxCommand(pid, place) : await psCommand(pid);
  const [program = "", ...rest] = command;
  // A postmaster shows its command line; its children call themselves "postgres: ...".
  if (!/^postgres(:|$)/.test(basename(program))) return "gone";
  if (rest.includes(place.data)) return "ours";
  // Started by hand perhaps, under another name of the folder. Its working directory is the cluster.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (cwd === undefined) return "unknown";
  return cwd === (await realpath(place.data)) ? "ours" : "gone";
}

/** Empty if there is no such process, if it is another user's, or only its exit code is left. */
async function linuxCommand(pid: number, { user }: Place): Promise<string[]> {
  try {
    const { uid } = await stat(`/proc/${pid}`);
    if (uid !== (user?.uid ?? process.getuid?.())) return [];
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
  } catch {
    return [];
  }
}

async function psCommand(pid: number): Promise<string[]> {
  const { output } = await runAs(undefined, "ps", ["-o", "command=", "-p", String(pid)], "/");
  // ps shows no argument boundaries, and paths hold blanks: ours is recognised as a whole.
  const [program = "", folder = ""] = output.trim().split(/ -D | -c port=/);
  return [program, folder];
}

function killIfThere(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function openLog({ log, user }: Place) {
  const size = (await stat(log).catch(absentIfMissing))?.size ?? 0;
  if (size > logBytesMax) await rename(log, `${log}.1`);
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW = 0 } = constants;
  const file = await open(log, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  await file.chmod(0o600);
  if (user) await file.chown(user.uid, user.gid);
  return file;
}

async function logTail({ log }: Place, start: number): Promise<string> {
  const text = (await readFile(log).catch(() => Buffer.alloc(0))).subarray(start).toString();
  return text.trimEnd().split("\n").slice(-10).join("\n");
}
