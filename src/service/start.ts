/** Puts the parts together, database, ledger, HTTP server, and takes them apart in order. */
import { setTimeout as pause } from "node:timers/promises";
import { type Access, openAccess } from "../access/access.ts";
import { addressOf } from "../access/listening.ts";
import type { Config } from "../config.ts";
import { connectDatabase } from "../database/connection.ts";
import { requireOneServer } from "../database/one-server.ts";
import { databaseProblem } from "../database/readiness.ts";
import { readFileLimits } from "../file-limits.ts";
import { createApp } from "../http/app.ts";
import { startHttpServer } from "../http/server.ts";
import { createLedger } from "../ledger/ledger.ts";
import type { LedgerState } from "../ledger/observer.ts";
import type { Logger } from "../log.ts";
import { type Snapshot, textOf } from "../metrics/registry.ts";
import { within } from "../within.ts";
import { settingTokens } from "./door.ts";
import { logFailures } from "./failure-log.ts";
import type { Figures } from "./figures.ts";
import { createMetrics } from "./metrics.ts";

export interface Service {
  readonly url: string;
  /** What it has counted, in this process. */
  metrics(): Promise<Snapshot>;
  /** What it is at, in all its processes. */
  figures(): Promise<Figures>;
  /**
   * Serves on for shutdownDelayMs, no longer ready, so that a load balancer sees it and sends nobody. Then
   * stops in phases, each bounded by drainTimeoutMs: requests, changes, connections.
   * @param handedOver of a worker: resolves when the main process has no more connections for it
   */
  stop(handedOver?: () => Promise<void>): Promise<void>;
}

/** How long stop() takes at the most. */
export function stopMsMax({
  shutdownDelayMs,
  drainTimeoutMs,
}: Pick<Config, "shutdownDelayMs" | "drainTimeoutMs">): number {
  // Beside the three phases, for what a process that drains nothing has to close.
  return shutdownDelayMs + drainTimeoutMs * 3 + 2_000;
}

/** Lanes, reads, log, listening sockets and what is not foreseen. */
const filesBeside = 200;

function filesForClients(): number {
  const { soft = Infinity } = readFileLimits();
  return Math.max(soft - filesBeside, 1);
}

/**
 * @param schema the migration that the database is at; another one makes it not ready
 * @param ofAll of a worker: gives what all of them have counted
 */
export async function startService(
  config: Config,
  databaseUrl: string,
  schema: string,
  log: Logger,
  ofAll?: (own: () => Promise<Snapshot>) => Promise<Snapshot>,
): Promise<Service> {
  const address = await addressOf(config.host);
  const tokens = await settingTokens(config);
  const database = connectDatabase(databaseUrl, config);
  const failureLog = logFailures(log);
  let state: (() => LedgerState) | undefined;
  const idle = { waiting: 0, inFlight: 0, lanes: [] };
  const metrics = createMetrics(database, () => state?.() ?? idle, config);
  const observers = [failureLog, metrics.observer];
  const ledger = createLedger(database, { bounds: config, observers });
  state = ledger.state;
  let stopping = false;
  const notReady = async () =>
    stopping ? "The server is stopping" : await databaseProblem(database, schema);
  const collect = ofAll === undefined ? metrics.snapshot : () => ofAll(metrics.snapshot);
  let access: Access | undefined;
  try {
    await requireOneServer(database);
    access = await openAccess({
      ...{ writer: database.aside, tokens, allowAnonymous: config.allowAnonymous },
      onFailures: (sum) => log.warn(sum, "requests without a token that is known were refused"),
    });
    const parts = { ledger, notReady, access, metrics: async () => textOf(await collect()) };
    const app = createApp(parts, log, { ...config, timer: metrics.timer });
    const server = await startHttpServer(app, {
      ...{ host: address, port: config.port },
      connectionsMax: config.connectionsMax || filesForClients(),
    });
    const { close: closeDoor } = access;
    return {
      url: server.url,
      metrics: metrics.snapshot,
      figures: async () => ({ processes: 1, ...ledger.state() }),
      stop: async (handedOver) => {
        stopping = true;
        if (config.shutdownDelayMs > 0) await pause(config.shutdownDelayMs);
        const inTime = await server.stop(config.drainTimeoutMs, handedOver);
        if (!inTime) log.warn("some requests were cut: they took longer than the drain timeout");
        await within(config.drainTimeoutMs, ledger.drained());
        failureLog.end();
        closeDoor();
        metrics.end();
        // A statement may still wait for somebody's lock: the process does not.
        await within(config.drainTimeoutMs, database.close());
      },
    };
  } catch (error) {
    access?.close();
    await database.close();
    throw error;
  }
}
