/** From settings to a database that is there and has the schema. */
import { resolve } from "node:path";
import { account } from "../account.ts";
import type { Config } from "../config.ts";
import { databaseLabel } from "../database/connection-parts.ts";
import { openEmbeddedPostgres } from "../database/embedded/open.ts";
import { ensureDatabase } from "../database/ensure-database.ts";
import { migrateUp, type SchemaStatus, schemaStatus } from "../database/migrator.ts";
import { inSchema } from "../database-url.ts";
import { BalancectlError } from "../errors.ts";
import { printable } from "../printable.ts";

export interface OpenedDatabase {
  readonly url: string;
  /** Which database, for people: never the password. */
  readonly label: string;
  /** Ours alone: its schema is brought up to date without asking. */
  readonly embedded: boolean;
  /** Resolves when the embedded PostgreSQL was lost for good. */
  readonly gone: Promise<BalancectlError>;
  close(): Promise<void>;
}

/**
 * The database that the settings name; without DATABASE_URL the embedded PostgreSQL.
 * @param onLost of whoever serves: the embedded PostgreSQL is started again when it is lost, and this told about it
 */
export async function openDatabase(
  config: Config,
  signal: AbortSignal,
  onProgress: (text: string) => void,
  onLost?: (message: string) => void,
): Promise<OpenedDatabase> {
  const { databaseUrl, dataDir, schema } = config;
  if (databaseUrl !== undefined) {
    const label = `${databaseLabel(databaseUrl)}${placeIn(schema)}`;
    return { url: databaseUrl, label, embedded: false, gone: never, close: async () => {} };
  }
  const folder = resolve(dataDir as string);
  const embedded = await openEmbeddedPostgres({ dataDir: folder, onProgress, onLost, signal });
  const at = embedded.address ? ` (${embedded.address})` : "";
  return {
    url: schema === undefined ? embedded.url : inSchema(embedded.url, schema),
    label: `embedded PostgreSQL in ${printable(folder)}${at}${placeIn(schema)}`,
    embedded: true,
    gone: embedded.gone,
    close: embedded.close,
  };
}

const never = new Promise<never>(() => {});

function placeIn(schema: string | undefined): string {
  return schema === undefined ? "" : `, its schema "${schema}"`;
}

/**
 * Brings the schema up to date, or, when `migrate` is false, insists that it is.
 * @returns the names that were applied, the latest name, and how the schema is then
 * @throws BalancectlError SCHEMA_OUTDATED, SCHEMA_TOO_NEW and what the migrator throws
 */
export async function prepareSchema(
  { url, label }: Pick<OpenedDatabase, "url" | "label">,
  migrate: boolean,
  signal: AbortSignal,
): Promise<{ applied: string[]; latest: string; status: SchemaStatus }> {
  if (migrate) await ensureDatabase(url);
  let applied: string[] = [];
  let status = await schemaStatus(url);
  if (migrate && status.pending.length > 0) {
    applied = (await migrateUp(url, { signal, by: account() })).done;
    status = await schemaStatus(url);
  }
  if (status.unknown.length > 0) {
    throw new BalancectlError(
      "SCHEMA_TOO_NEW",
      `The database has migrations that this version of balancectl does not know: ${status.unknown.join(", ")}. Use the newer balancectl`,
    );
  }
  if (status.pending.length > 0) {
    throw new BalancectlError(
      "SCHEMA_OUTDATED",
      `The schema of ${label} lacks ${status.pending.join(", ")}: run \`balancectl migrate\` first`,
    );
  }
  return { applied, latest: status.applied.at(-1) ?? "", status };
}
