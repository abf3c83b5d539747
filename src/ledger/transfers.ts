import type { Database } from "../database/connection.ts";
import type { EntryRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";

export interface Transfer {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Record<string, unknown> | null;
  readonly createdAt: Date;
}

/** A transfer is its two entries; null when there are none under this id. */
export async function findTransfer(database: Database, id: string): Promise<Transfer | null> {
  try {
    const rows = await database.models.Entry.findAll({
      where: { operationId: id, kind: "transfer" },
      raw: true,
    });
    const entries = rows as unknown as EntryRow[];
    const paid = entries.find(({ amount }) => amount < 0);
    const received = entries.find(({ amount }) => amount > 0);
    if (!paid || !received) return null;
    const { reference, metadata } = paid;
    // The entry of a user whose time is ahead of the clock is stamped later than the transfer was made.
    const createdAt = paid.createdAt < received.createdAt ? paid.createdAt : received.createdAt;
    const { userId: from } = paid;
    const { userId: to, amount } = received;
    return { id, from, to, amount, reference, metadata, createdAt };
  } catch (error) {
    throw translateError(error);
  }
}
