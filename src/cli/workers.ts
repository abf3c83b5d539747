/**
 * Several worker processes behind one port (node:cluster). Workers share nothing but the database,
 * which decides, so each guarantee is that of one server. A worker that dies is replaced; requests
 * that it had in flight get no answer, and are committed or not, as with any server that dies.
 */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
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

/** The environment variable that makes a process a worker of ours: the schema that its database is at. */
export const workerSchema = "WORKER_SCHEMA";

/** Beside the drain timeout, for what a worker that drains none has to close. */
const closingMs = 2_000;

/** What bin/ listens for. */
const stopMessage = "stop";

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
  if (!cluster.isPrimary) {
    throw new BalancectlError(
      "SERVER_FAILED",
      "--workers cannot be used where another program starts this one as its worker (pm2 -i): let " +
        "either of them make the workers",
    );
  }
  let stopping = false;
  cluster.setupPrimary({ exec: context.script, args: ["serve"] });
  // Chosen once, so that those who replace the last worker listen where the first ones did.
  const port = config.port === 0 ? await freePort(config.host) : config.port;
  const fork = () => {
    const worker = cluster.fork({
      ...context.env,
      HOST: config.host,
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      [workerSchema]: schema,
    });
    closeWhatItNeverTook(worker);
    return worker;
  };

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
        (worker) => worker && end(worker, config.drainTimeoutMs * 3 + closingMs),
      ),
    );
  };
  try {
    const ready = async (worker: Worker) => {
      await listening(worker);
      keep(worker);
    };
    await Promise.all(Array.from({ length: count }, () => ready(fork())));
    return { url: httpUrl(config.host, port), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function listening(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("listening", () => resolve());
    worker.once("exit", () => {
      reject(new BalancectlError("SERVER_FAILED", "A worker process could not start"));
    });
  });
}

/**
 * Closes the connection that was being handed to a worker when it died, or is handed to it before
 * node:cluster knows: it forgets that it has it, and the client would wait until it gives up. There
 * is one at most, the next follows when the worker has said that it took the last. Closing one that
 * it took does nothing: the main process has closed its end of that.
 */
function closeWhatItNeverTook(worker: Worker): void {
  const { process } = worker;
  const send = process.send;
  let handed: { close(): void } | undefined;
  process.send = (...args: unknown[]) => {
    const [, handle] = args;
    if (handle && typeof handle === "object") handed = handle as typeof handed;
    if (!worker.isDead()) return Reflect.apply(send, process, args);
    handed?.close();
    return false;
  };
  worker.once("exit", () => handed?.close());
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    throw new BalancectlError("SERVER_FAILED", error.message, { cause: error });
  });
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Asks a worker to drain and waits until it has; it bounds that itself, unless it hangs. By message:
 * Ctrl-C reaches the whole group, and a second signal would insist where nobody did.
 */
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
    worker.process.send(stopMessage, (error) => error && worker.process.kill("SIGTERM"));
  });
}
