/** What became of a request: the outcome stored under its idempotency key. */
import type { Database } from "../database/connection.ts";
import type { IdempotencyKeyRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";

export async function findStoredOperation(
  database: Database,
  userId: number,
  key: string,
): Promise<IdempotencyKeyRow | null> {
  try {
    const row = await database.models.IdempotencyKey.findOne({ where: { userId, key }, raw: true });
    return row as unknown as IdempotencyKeyRow | null;
  } catch (error) {
    throw translateError(error);
  }
}

/** As it is shown: "applied", or the code of the refusal. Absent fields are left out. */
export function storedOperationView(row: IdempotencyKeyRow): object {
  const { userId, key, kind, refusal, amount, balance, version, operationId, createdAt } = row;
  // A transfer or hold that was refused has an id that names nothing.
  const named = operationId !== null && (refusal === null || kind === "capture" || kind === "void");
  return {
    userId,
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
