/** One server process of PostgreSQL and its folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { childOptions, type OsUser } from "../../../src/database/embedded/run-as.ts";
import { query, until } from "./connection.ts";
import { childrenOf } from "./process-table.ts";

export interface Postmaster {
  readonly port: number;
  readonly data: string;
  readonly user: OsUser | undefined;
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  stop(how: NodeJS.Signals): Promise<void>;
  processes(): Promise<number[]>;
  ended(): Promise<void>;
  answers(): Promise<void>;
}

export interface PostmasterOptions {
  readonly program: string;
  readonly data: string;
  readonly port: number;
  readonly user: OsUser | undefined;
  /** The file that its log goes to. */
  readonly log: string;
}

const settings = {
  max_connections: "60",
  shared_buffers: "64MB",
  wal_keep_size: "512MB",
  // Its clients are on this machine.
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  deadlock_timeout: "100ms",
};

const startMsMax = 60_000;

export function createPostmaster({
  program,
  data,
  port,
  user,
  log,
}: PostmasterOptions): Postmaster {
  let child: ChildProcess | undefined;
  let environment: Readonly<Record<string, string>> = {};

  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const takesConnections = () =>
    query(url, "SELECT").then(
      () => true,
      () => false,
    );
  const ended = async () => {
    if (child && child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };

  async function launch(): Promise<boolean> {
    const file = await open(log, "a");
    const flags = Object.entries({ ...settings, port: String(port) });
    const options = childOptions(user, dirname(data));
    const started = spawn(
      program,
      ["-D", data, ...flags.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      {
        ...options,
        env: { ...options.env, ...environment },
        stdio: ["ignore", file.fd, file.fd],
      },
    );
    await file.close();
    child = started;
    const isOver = () => started.exitCode !== null || started.signalCode !== null;
    await until(async () => isOver() || (await takesConnections()), startMsMax);
    return !isOver();
  }

  return {
    port,
    data,
    user,
    ended,
    start: async (env) => {
      environment = env ?? environment;
      // Children of one that was killed keep its memory until they have ended: then it is tried again.
      if (!(await until(launch, startMsMax))) throw new Error(`PostgreSQL does not start: ${log}`);
    },
    stop: async (how) => {
      child?.kill(how);
      await ended();
    },
    processes: async () => {
      const pid = child?.pid;
      return pid === undefined ? [] : [pid, ...(await childrenOf(pid))];
    },
    answers: async () => {
      if (!(await until(takesConnections, startMsMax)))
        throw new Error("PostgreSQL does not answer");
    },
  };
}
