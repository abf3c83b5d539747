/** What became of a request: the outcome stored under its idempotency key. */
import { fn, type Utils, type WhereOptions } from "sequelize";
import type { Database } from "../database/connection.ts";
import type { IdempotencyKeyRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";

export type StoredOperation = IdempotencyKeyRow;

/** @param userId whose key it is: who pays, or whose hold it is */
export async function findStoredOperation(
  database: Database,
  userId: number,
  key: string,
): Promise<StoredOperation | null> {
  return await findByScope(database, userId, key);
}

/** The keys of openings are apart from every user's, and each client's from the others'. */
export async function findStoredOpening(
  database: Database,
  key: string,
  client: number | undefined,
): Promise<StoredOperation | null> {
  return await findByScope(database, fn("creation_scope", key, client ?? null), key);
}

async function findByScope(
  database: Database,
  userId: number | Utils.Fn,
  key: string,
): Promise<StoredOperation | null> {
  try {
    const where = { userId, key } as WhereOptions;
    const row = await database.models.IdempotencyKey.findOne({ where, raw: true });
    return row as unknown as StoredOperation | null;
  } catch (error) {
    throw translateError(error);
  }
}
