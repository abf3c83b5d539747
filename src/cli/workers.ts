/**
 * Several worker processes behind one port (node:cluster). Workers share nothing but the database,
 * which decides, so each guarantee is that of one server. A worker that dies is replaced; requests
 * that it had in flight get no answer, and are committed or not, as with any server that dies.
 */
import cluster, { type Worker } from "node:cluster";
import type { Config } from "../config.ts";
import { BalancectlError } from "../errors.ts";
import { httpUrl } from "../http/server.ts";
import type { Logger } from "../log.ts";
import type { Context } from "./context.ts";
import type { Service } from "./service.ts";

export interface WorkersOptions {
  readonly context: Context;
  readonly config: Config;
  readonly count: number;
  readonly log: Logger;
}

/** A worker that lived shorter than this failed to start: replacing it at once would spin. */
const lifeMsMin = 1_000;

/**
 * Starts the workers and resolves when all of them listen.
 * @throws BalancectlError SERVER_FAILED when one cannot start; it has said why on stderr
 */
export async function startWorkers(
  { context, config, count, log }: WorkersOptions,
  databaseUrl: string,
  schema: string,
): Promise<Service> {
  let stopping = false;
  cluster.setupPrimary({ exec: context.script, args: ["serve"] });
  // Port 0 as well: node:cluster gives all that ask for it the same free port.
  const fork = () =>
    cluster.fork({
      ...context.env,
      HOST: config.host,
      PORT: String(config.port),
      DATABASE_URL: databaseUrl,
      BALANCECTL_SCHEMA: schema,
    });

  const keep = (worker: Worker) => {
    const startedAt = Date.now();
    worker.once("exit", (code, signal) => {
      if (stopping) return;
      log.error({ worker: worker.process.pid, code, signal }, "a worker died; it is replaced");
      const livedMs = Date.now() - startedAt;
      setTimeout(() => stopping || keep(fork()), livedMs < lifeMsMin ? lifeMsMin : 0);
    });
  };

  const stop = async () => {
    stopping = true;
    await Promise.all(
      Object.values(cluster.workers ?? {}).map(
        (worker) => worker && end(worker, config.drainTimeoutMs * 3),
      ),
    );
  };
  try {
    const started = Array.from({ length: count }, fork);
    const [port = config.port] = await Promise.all(started.map(listening));
    for (const worker of started) keep(worker);
    return { url: httpUrl(config.host, port), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @returns the port */
function listening(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once("listening", ({ port }) => resolve(port));
    worker.once("exit", () => {
      reject(new BalancectlError("SERVER_FAILED", "A worker process could not start"));
    });
  });
}

/** Asks a worker to drain and waits until it has; it bounds that itself, unless it hangs. */
function end(worker: Worker, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (worker.isDead()) {
      resolve();
      return;
    }
    const timer = setTimeout(() => worker.process.kill("SIGKILL"), timeoutMs);
    worker.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    worker.process.kill("SIGTERM");
  });
}
