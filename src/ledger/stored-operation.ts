/** What became of a request: the outcome stored under its idempotency key. */
import { fn, type Utils, type WhereOptions } from "sequelize";
import type { Database } from "../database/connection.ts";
import type { IdempotencyKeyRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";

/** @param userId whose key it is: who pays, or whose hold it is */
export async function findStoredOperation(
  database: Database,
  userId: number,
  key: string,
): Promise<IdempotencyKeyRow | null> {
  return await findByScope(database, userId, key);
}

/** The keys of openings are apart from every user's. */
export async function findStoredOpening(
  database: Database,
  key: string,
): Promise<IdempotencyKeyRow | null> {
  return await findByScope(database, fn("creation_scope", key), key);
}

async function findByScope(
  database: Database,
  userId: number | Utils.Fn,
  key: string,
): Promise<IdempotencyKeyRow | null> {
  try {
    const where = { userId, key } as WhereOptions;
    const row = await database.models.IdempotencyKey.findOne({ where, raw: true });
    return row as unknown as IdempotencyKeyRow | null;
  } catch (error) {
    throw translateError(error);
  }
}

/** As it is shown: "applied", or the code of the refusal. Absent fields are left out. */
export function storedOperationView(row: IdempotencyKeyRow): object {
  const { key, kind, refusal, amount, balance, version, operationId, createdAt } = row;
  // The key of an opening is in no user's scope; whom it opened is what its row tells.
  const userId = kind === "opening" ? row.createdUserId : row.userId;
  // A transfer or hold that was refused has an id that names nothing.
  const named = operationId !== null && (refusal === null || kind === "capture" || kind === "void");
  return {
    ...(userId !== null && { userId }),
    key,
    kind,
    outcome: refusal === "RECIPIENT_NOT_FOUND" ? "USER_NOT_FOUND" : (refusal ?? "applied"),
    ...(amount !== null && { amount }),
    ...(balance !== null && { balance }),
    ...(version !== null && { version }),
    ...(named && { [kind === "transfer" ? "transferId" : "holdId"]: operationId }),
    createdAt: createdAt.toISOString(),
  };
}
