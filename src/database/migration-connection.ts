/** The connections that look after a database and its schema, apart from those that serve. */
import { BalancectlError } from "../errors.ts";
import { databaseNameOf } from "./connection-parts.ts";
import { type HostClient, hostClients } from "./host-client.ts";
import { watchful } from "./session.ts";
import { translateError } from "./translate-error.ts";

/** @throws BalancectlError DATABASE_UNAVAILABLE; CONFIG_INVALID when the database cannot hold a ledger */
export async function connect(url: string, database = databaseNameOf(url)): Promise<HostClient> {
  const client = hostClients(url).newClient({
    application_name: "balancectl migrate",
    settings: { needed: {}, known: watchful },
    ...(database !== undefined && { database }),
  });
  try {
    await client.connect();
    await requireUtf8(client);
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw translateError(error);
  }
}

/** In another encoding a reference that is valid would be an error of the database, or not be text at all. */
async function requireUtf8(client: HostClient): Promise<void> {
  const { rows } = await client.query("SHOW server_encoding");
  const encoding = rows[0]?.server_encoding;
  if (encoding === "UTF8") return;
  throw new BalancectlError(
    "CONFIG_INVALID",
    `The database has the encoding ${encoding}, and texts need UTF8. Make one that has: ` +
      "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
  );
}
