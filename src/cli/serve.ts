/** Puts the parts together: database, ledger, HTTP server; and takes them apart in order. */
import { QueryTypes } from "sequelize";
import { connectDatabase, type Database } from "../database/connection.ts";
import { createApp } from "../http/app.ts";
import { isLoopback } from "../http/middleware/guard-origin.ts";
import { startHttpServer } from "../http/server.ts";
import { createLedger, type Ledger } from "../ledger/ledger.ts";
import { createLogger, type Logger } from "../log.ts";
import { packageVersion } from "../package-root.ts";
import type { Context } from "./context.ts";
import { openDatabase, prepareSchema } from "./open-database.ts";

export interface ServeFlags {
  readonly host?: string;
  readonly port?: number;
  /** False for --no-migrate. */
  readonly migrate: boolean;
}

/** Serves until the process is asked to stop, then drains. */
export async function serve(context: Context, flags: ServeFlags): Promise<void> {
  const { output, stopping } = context;
  const config = await context.loadConfig({ HOST: flags.host, PORT: flags.port?.toString() });
  const progress = output.progress("Starting");
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const log = createLogger(config.logLevel);
    const opened = await openDatabase(config, stopping, progress.update);
    closers.push(opened.close);
    const { latest } = await prepareSchema(opened.url, flags.migrate);
    const database = connectDatabase(opened.url, config);
    closers.push(database.close);
    const ledger = createLedger(database, { bounds: config, observer: logFailures(log) });
    closers.push(() => within(config.drainTimeoutMs, ledger.drained()));
    let stoppingSoon = false;
    const { bodyBytesMax } = config;
    const notReady = async () =>
      stoppingSoon ? "The server is stopping" : await schemaProblem(database, latest);
    const app = createApp({ ledger, log, bodyBytesMax, notReady }, config);
    const server = await startHttpServer(app, config);
    closers.push(() => server.stop(config.drainTimeoutMs));
    progress.end();
    const { url } = server;
    output.result(
      { url, database: opened.label, schema: latest, pid: process.pid },
      () => `${output.paint.bold("balancectl")} ${packageVersion()} on ${output.paint.cyan(url)}
  database  ${opened.label}, schema ${latest}
  access    ${accessText(config.host)}
  stop      Ctrl-C answers what is in flight and stops; a second one forces`,
    );
    await aborted(stopping);
    stoppingSoon = true;
    log.info("stopping");
  } finally {
    progress.end();
    // The reverse of the start: first no more requests, then no more changes, then the database.
    for (const close of closers.reverse()) await close();
  }
}

function accessText(host: string): string {
  return isLoopback(host)
    ? "this machine only (loopback)"
    : `everybody who can reach ${host}: put it behind something that asks who calls`;
}

function logFailures(log: Logger): Parameters<typeof createLedger>[1]["observer"] {
  return {
    batchFailed: ({ lane, operations, error }) => {
      log.error({ lane, operations, code: error.code, err: error.cause }, error.message);
    },
  };
}

async function schemaProblem({ sequelize }: Database, latest: string): Promise<string | null> {
  try {
    const rows = await sequelize.query("SELECT 1 FROM schema_migrations WHERE name = $1", {
      bind: [latest],
      type: QueryTypes.SELECT,
    });
    return rows.length > 0 ? null : "The database schema is not the one of this server";
  } catch {
    return "The database cannot be reached";
  }
}

async function within(timeoutMs: number, done: ReturnType<Ledger["drained"]>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
