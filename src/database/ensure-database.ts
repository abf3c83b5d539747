import { schemaOf } from "../database-url.ts";
import { BalancectlError, type ErrorCode } from "../errors.ts";
import { databaseNameOf } from "./connection-parts.ts";
import { connect } from "./migration-connection.ts";
import { wordsOf } from "./migration-failure.ts";
import { sqlState } from "./translate-error.ts";

/**
 * Creates the database that the URL names if it is not there yet, and the schema of the ledger in it.
 * @returns whether the database was created
 * @throws BalancectlError DATABASE_UNAVAILABLE when it is missing and the role may not create it
 */
export async function ensureDatabase(url: string): Promise<boolean> {
  const created = await createDatabase(url);
  await createSchema(url);
  return created;
}

async function createDatabase(url: string): Promise<boolean> {
  const missing = await connect(url).then(
    (client) => client.end().then(() => false),
    (error) => {
      if (sqlState(error.cause) === "3D000") return true;
      throw error;
    },
  );
  if (!missing) return false;
  const name = databaseNameOf(url) ?? "";
  const client = await connect(url, "postgres");
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)} ENCODING 'UTF8'`);
    return true;
  } catch (error) {
    if (wasThere(error)) return false;
    throw notCreated("DATABASE_UNAVAILABLE", `Database "${name}"`, error);
  } finally {
    await client.end();
  }
}

/** Of BALANCECTL_SCHEMA. Any other is somebody's to make, who says in their search_path where to look. */
async function createSchema(url: string): Promise<void> {
  const schema = schemaOf(url);
  if (schema === undefined) return;
  const client = await connect(url);
  try {
    // Looked for first: who may not create any may use the one that is there.
    const { rowCount } = await client.query("SELECT FROM pg_namespace WHERE nspname = $1", [
      schema,
    ]);
    if (rowCount === 0) await client.query(`CREATE SCHEMA ${client.escapeIdentifier(schema)}`);
  } catch (error) {
    if (wasThere(error)) return;
    throw notCreated("MIGRATION_FAILED", `Schema "${schema}"`, error);
  } finally {
    await client.end();
  }
}

/** Somebody else was quicker: duplicate_database or _schema, or unique_violation when at the very same time. */
function wasThere(error: unknown): boolean {
  return ["42P04", "42P06", "23505"].includes(sqlState(error) ?? "");
}

function notCreated(code: ErrorCode, what: string, cause: unknown): BalancectlError {
  const message = `${what} does not exist and could not be created: ${wordsOf(cause)}`;
  return new BalancectlError(code, message, { cause });
}
