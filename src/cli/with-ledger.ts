import { accountName } from "../account.ts";
import { connectDatabase } from "../database/connection.ts";
import type { Actors } from "../ledger/actors.ts";
import { createLedger, type Ledger } from "../ledger/ledger.ts";
import type { Context } from "./context.ts";
import { withDatabase } from "./with-database.ts";

/** Runs `work` with a ledger straight on the configured database, and closes everything after it. */
export async function withLedger<T>(
  context: Context,
  work: (ledger: Ledger, url: string) => Promise<T>,
): Promise<T> {
  return await withDatabase(context, async (url) => {
    const bounds = { ...(await context.loadConfig()), lanes: 1, readConnectionsMax: 2 };
    const database = connectDatabase(url, bounds);
    const actor = (actors: Actors) => actors.numberOf("os", accountName());
    try {
      return await work(createLedger(database, { bounds, actor }), url);
    } finally {
      await database.close();
    }
  });
}
