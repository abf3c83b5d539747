/** Puts the parts together, database, ledger, HTTP server, and takes them apart in order. */
import { QueryTypes } from "sequelize";
import type { Config } from "../config.ts";
import { connectDatabase, type Database } from "../database/connection.ts";
import { requireOneServer } from "../database/one-server.ts";
import { missingRights } from "../database/rights.ts";
import { sqlState } from "../database/translate-error.ts";
import { createApp } from "../http/app.ts";
import { startHttpServer } from "../http/server.ts";
import type { LedgerObserver } from "../ledger/group-commit.ts";
import { createLedger } from "../ledger/ledger.ts";
import type { Logger } from "../log.ts";

export interface Service {
  readonly url: string;
  /** Stops in phases, each bounded by drainTimeoutMs: requests, changes, connections. */
  stop(): Promise<void>;
}

/** @param schema the migration that the database is at; another one makes it not ready */
export async function startService(
  config: Config,
  databaseUrl: string,
  schema: string,
  log: Logger,
): Promise<Service> {
  const database = connectDatabase(databaseUrl, config);
  const ledger = createLedger(database, { bounds: config, observer: logFailures(log) });
  let stopping = false;
  const notReady = async () =>
    stopping ? "The server is stopping" : await schemaProblem(database, schema);
  const app = createApp({ ledger, notReady }, log, config);
  try {
    await requireOneServer(database);
    const server = await startHttpServer(app, config);
    return {
      url: server.url,
      stop: async () => {
        stopping = true;
        const inTime = await server.stop(config.drainTimeoutMs);
        if (!inTime) log.warn("some requests were cut: they took longer than the drain timeout");
        await within(config.drainTimeoutMs, ledger.drained());
        // A statement may still wait for somebody's lock: the process does not.
        await within(config.drainTimeoutMs, database.close());
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function logFailures(log: Logger): LedgerObserver {
  return {
    batchFailed: ({ lane, operations, error }) => {
      log.error({ lane, operations, code: error.code, err: error.cause }, error.message);
    },
  };
}

/** Asked at each probe: what was granted may be taken away. */
async function schemaProblem({ sequelize }: Database, schema: string): Promise<string | null> {
  try {
    const rows = await sequelize.query("SELECT 1 FROM schema_migrations WHERE name = $1", {
      bind: [schema],
      type: QueryTypes.SELECT,
    });
    if (rows.length === 0) return "The database schema is not the one of this server";
    const missing = await missingRights(sequelize);
    return missing.length === 0 ? null : `The database role may not: ${missing.join(", ")}`;
  } catch (error) {
    if (sqlState(error) === "42501") return "The database role may not read schema_migrations";
    return "The database cannot be reached";
  }
}

async function within(timeoutMs: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}
