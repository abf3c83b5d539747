/**
 * One PostgreSQL of the harness's own, whose postmaster is a child of it: it can be killed, stopped and
 * started again. Its programs are those of the embedded PostgreSQL, or of TORTURE_POSTGRES, a folder
 * with initdb and postgres of another version.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, open } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Binaries, findBinaries } from "../../../src/database/embedded/binaries.ts";
import { preparePlace } from "../../../src/database/embedded/place.ts";
import { childOptions, type OsUser, runAs } from "../../../src/database/embedded/run-as.ts";
import { query, until } from "./connection.ts";
import { childrenOf, signal } from "./process-table.ts";

export interface Cluster {
  readonly port: number;
  readonly version: string;
  /** Whom the files belong to; absent: ourselves. */
  readonly user: OsUser | undefined;
  /** A folder that the server may write to. */
  readonly folder: string;
  /** A superuser's, in the database of that name. */
  adminUrl(database?: string): string;
  /** The application's, which is no superuser. */
  appUrl(database: string, port?: number): string;
  admin(sql: string): Promise<Record<string, unknown>[]>;
  /** With variables of the environment in addition to its own. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  /** SIGTERM waits for clients, SIGINT does not, SIGQUIT leaves recovery to the next start. */
  stop(how: "SIGINT" | "SIGQUIT"): Promise<void>;
  /** All processes that there are, the postmaster first. */
  processes(): Promise<number[]>;
  signal(pids: readonly number[], name: NodeJS.Signals): void;
  /** Resolves when the postmaster has ended. */
  ended(): Promise<void>;
  /** Resolves when it takes connections; it has not been ended. */
  answers(): Promise<void>;
}

/** The application's role: connections of superusers have slots and rights that it has not. */
export const appRole = "app";

const settings = {
  max_connections: "60",
  shared_buffers: "64MB",
  // Its own clients are on loopback alone.
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  deadlock_timeout: "100ms",
  log_min_messages: "log",
};

export async function createCluster(
  folder: string,
  binFolder: string | undefined,
  say: (line: string) => void,
): Promise<Cluster> {
  const place = await preparePlace(join(folder, "postgres"));
  const { user } = place;
  const binaries = binFolder ? binariesIn(binFolder) : await findBinaries(place, say);
  const data = join(place.folder, "data");
  const work = join(place.folder, "work");
  for (const path of [data, work]) {
    await mkdir(path, { mode: 0o700 });
    if (user) await chown(path, user.uid, user.gid);
  }
  const args = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"];
  const made = await runAs(user, binaries.initdb, args, place.folder);
  if (made.code !== 0) throw new Error(`initdb failed: ${made.output}`);
  const { output } = await runAs(user, binaries.postgres, ["--version"], place.folder);
  const port = await freePort();
  const log = await open(join(folder, "postgres.log"), "a");
  let postmaster: ChildProcess | undefined;
  let environment: Readonly<Record<string, string>> = {};

  const adminUrl = (database = "postgres") => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const ended = async () => {
    const child = postmaster;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };

  /** The children of one that was killed keep its memory until they have ended: then it is tried again. */
  const launch = async () => {
    const flags = Object.entries({ ...settings, port: String(port) });
    const options = childOptions(user, place.folder);
    const child = spawn(
      binaries.postgres,
      ["-D", data, ...flags.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      {
        ...options,
        env: { ...options.env, ...environment },
        stdio: ["ignore", log.fd, log.fd],
      },
    );
    postmaster = child;
    const isOver = () => child.exitCode !== null || child.signalCode !== null;
    await until(async () => isOver() || (await answers(adminUrl())), 60_000);
    return !isOver();
  };

  return {
    port,
    version: output.trim(),
    user,
    folder: work,
    adminUrl,
    appUrl: (database, at = port) => `postgres://${appRole}@127.0.0.1:${at}/${database}`,
    admin: (sql) => query(adminUrl(), sql),
    start: async (env) => {
      environment = env ?? environment;
      if (!(await until(launch, 60_000))) throw new Error("PostgreSQL does not start");
    },
    stop: async (how) => {
      postmaster?.kill(how);
      await ended();
    },
    processes: async () => {
      const pid = postmaster?.pid;
      return pid === undefined ? [] : [pid, ...(await childrenOf(pid))];
    },
    signal,
    ended,
    answers: async () => {
      if (!(await until(() => answers(adminUrl()), 60_000))) {
        throw new Error("PostgreSQL does not answer");
      }
    },
  };
}

async function answers(url: string): Promise<boolean> {
  return await query(url, "SELECT").then(
    () => true,
    () => false,
  );
}

function binariesIn(folder: string): Binaries {
  return {
    initdb: join(folder, "initdb"),
    postgres: join(folder, "postgres"),
    pgCtl: join(folder, "pg_ctl"),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
