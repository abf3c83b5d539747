/** The users of balancectl's databases, made by the ledger itself. */
import { loadConfig } from "../../src/config.ts";
import { connectDatabase } from "../../src/database/connection.ts";
import { migrateUp } from "../../src/database/migrator.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import type { DatabaseServer } from "./database-server.ts";
import { firstUser, openingBalance, userCount } from "./population.ts";

/** A database with the schema of balancectl and the users, to be copied for each who needs one. */
export async function createTemplate(server: DatabaseServer): Promise<string> {
  const url = await server.create();
  await migrateUp(url);
  const config = loadConfig({});
  const database = connectDatabase(url, config);
  try {
    const ledger = createLedger(database, { bounds: config });
    await Promise.all(
      Array.from({ length: userCount }, (_, index) =>
        ledger.openUser({ id: firstUser + index, balance: openingBalance }),
      ),
    );
  } finally {
    await database.close();
  }
  return url;
}
