/**
 * Several worker processes behind one port (node:cluster). Workers share nothing but the database,
 * which decides, so each guarantee is that of one server. A worker that dies is replaced; requests
 * that it had in flight get no answer, and are committed or not, as with any server that dies.
 */
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Environment, workerEnvironment } from "../child-environment.ts";
import { BalancectlError } from "../errors.ts";
import { httpUrl } from "../http/server.ts";
import type { Logger } from "../log.ts";
import { together } from "../metrics/registry.ts";
import { sumOf } from "./figures.ts";
import { type Service, stopMsMax } from "./start.ts";
import type { FromWorker, ToWorker, WorkerOrders } from "./worker-channel.ts";

export interface WorkersOptions {
  /** The script that does as ordered when its first argument is "worker". */
  readonly script: string;
  /** The environment of this process. */
  readonly env: Environment;
  readonly count: number;
  readonly orders: WorkerOrders;
  readonly log: Logger;
}

/** A worker that lived shorter than this failed to start: replacing it at once would spin. */
const lifeMsMin = 1_000;

/** A worker that has not said by then how it is doing is counted without: a second for the database, and one more. */
const answerMsMax = 2_000;

/**
 * Starts the workers and resolves when all of them listen.
 * @throws BalancectlError SERVER_FAILED when one cannot start; it has said why on stderr
 */
export async function startWorkers(options: WorkersOptions): Promise<Service> {
  const { script, env, count, log } = options;
  // What Node makes of a NODE_UNIQUE_ID that nobody meant cannot fork either.
  if (!cluster.isPrimary || cluster.setupPrimary === undefined) {
    throw new BalancectlError(
      "SERVER_FAILED",
      "--workers cannot be used where another program starts this one as its worker (pm2 -i, or " +
        "NODE_UNIQUE_ID in the environment): let either of them make the workers",
    );
  }
  let stopping = false;
  cluster.setupPrimary({ exec: script, args: ["worker"] });
  // Chosen once, so that those who replace the last worker listen where the first ones did.
  const { host, port: wanted } = options.orders.config;
  const port = wanted === 0 ? await freePort(host) : wanted;
  const orders = { ...options.orders, config: { ...options.orders.config, port } };
  const fork = () => {
    const worker = cluster.fork(workerEnvironment(env));
    closeWhatItNeverTook(worker);
    // It is told what to do when it says that it listens.
    worker.on("message", (message: FromWorker) => {
      if (message.say === "here") tell(worker, { say: "serve", orders });
      // What the kernel has by now is accepted in this turn, and handed over before the next.
      if (message.say === "collect") void answerAll(worker, message.question);
      if (message.say === "any more") setImmediate(() => tell(worker, { say: "handed over" }));
    });
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

  const alive = () => Object.values(cluster.workers ?? {}).filter((one) => one !== undefined);
  let questions = 0;
  const askAll = async <Say extends Answers["say"]>(say: Say) => {
    questions += 1;
    const question = questions;
    const answers = await Promise.all(alive().map((worker) => ask(worker, say, question)));
    return answers.filter((answer) => answer !== undefined);
  };
  const figures = async () => sumOf((await askAll("figures")).map((answer) => answer.figures));
  const metrics = async () => together((await askAll("metrics")).map((answer) => answer.metrics));
  const answerAll = async (worker: Worker, question: number) =>
    tell(worker, { say: "collected", question, metrics: await metrics() });
  const stop = async () => {
    stopping = true;
    await Promise.all(alive().map((worker) => end(worker, stopMsMax(orders.config))));
  };
  try {
    const ready = async (worker: Worker) => {
      await listening(worker);
      keep(worker);
    };
    await Promise.all(Array.from({ length: count }, () => ready(fork())));
    return { url: httpUrl(host, port), metrics, figures, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function tell(worker: Worker, message: ToWorker, onError: () => void = () => {}): void {
  worker.process.send(message, (error) => error && onError());
}

type Answers = Extract<FromWorker, { say: "figures" | "metrics" }>;

/** Undefined when it does not say, because it starts, ends or hangs. */
function ask<Say extends Answers["say"]>(
  worker: Worker,
  say: Say,
  question: number,
): Promise<Extract<Answers, { say: Say }> | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => answered(undefined), answerMsMax);
    const listener = (message: FromWorker) => {
      if (message.say === say && message.question === question) {
        answered(message as Extract<Answers, { say: Say }>);
      }
    };
    const gone = () => answered(undefined);
    const answered = (answer: Extract<Answers, { say: Say }> | undefined) => {
      clearTimeout(timer);
      worker.off("message", listener).off("exit", gone);
      resolve(answer);
    };
    worker.on("message", listener).once("exit", gone);
    tell(worker, { say, question }, gone);
  });
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
    tell(worker, { say: "stop" }, () => worker.process.kill("SIGTERM"));
  });
}
