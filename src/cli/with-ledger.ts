import { connectDatabase } from "../database/connection.ts";
import { createLedger, type Ledger } from "../ledger/ledger.ts";
import { openDatabase, prepareSchema } from "../service/open-database.ts";
import type { Context } from "./context.ts";

/** Runs `work` with a ledger straight on the configured database, and closes everything after it. */
export async function withLedger<T>(
  context: Context,
  work: (ledger: Ledger, url: string) => Promise<T>,
): Promise<T> {
  const config = await context.loadConfig();
  const progress = context.output.progress("Connecting to the database");
  try {
    const opened = await openDatabase(config, context.stopping, progress.update);
    try {
      await prepareSchema(opened, opened.embedded, context.stopping);
      const bounds = { ...config, lanes: 1, readConnectionsMax: 2 };
      const database = connectDatabase(opened.url, bounds);
      try {
        progress.end();
        return await work(createLedger(database, { bounds }), opened.url);
      } finally {
        await database.close();
      }
    } finally {
      await opened.close();
    }
  } finally {
    progress.end();
  }
}
