/**
 * Receipts: what became of a batch whose answer was lost. A connection of a write lane has two rows of
 * batch_receipts, because two batches fly at once; each batch leaves its number and its answer in one of
 * them, as the last act of its own transaction. Whoever has lost an answer raises the row's fence to that
 * number, on a new connection, and finds the answer, or knows that there will never be one
 * (migrations/functions/{open,write,resolve}_receipt*.sql). This lives and dies with the changes
 * themselves, through crash, failover and restore, which pg_xact_status() does not: after a failover it
 * calls transactions committed that never reached the standby.
 */
import type pg from "pg";
import { queryOneValue, type Statement } from "./one-value-query.ts";
import { sqlState } from "./translate-error.ts";

/** Where one batch leaves its answer. */
export interface Receipt {
  readonly id: number;
  /** The batch's, counted by its connection from 1. */
  readonly number: number;
  /** The application_name of the connection, which no other has. */
  readonly session: string;
}

export interface Receipts {
  /** For the batch that is sent next; good for two at a time. */
  next(): Receipt;
}

/** For a connection that has just been made. One round trip. */
export async function openReceipts(client: pg.ClientBase, timeoutMs: number): Promise<Receipts> {
  const opened = await queryOneValue(client, open, [], timeoutMs);
  const { ids, session } = JSON.parse(opened as string) as { ids: number[]; session: string };
  let number = 0;
  return {
    next: () => {
      number += 1;
      return { id: ids[number % ids.length] as number, number, session };
    },
  };
}

const open: Statement = {
  name: "open_receipts",
  text: "SELECT row_to_json(o) FROM open_receipts() o",
};

/**
 * Ends the session of the batch and makes sure that it has committed or never will.
 * @param client of another session, on the primary
 * @returns the batch's answer, null when nothing was changed, undefined when the receipt is gone
 * @throws what the driver throws: nothing is known yet, and it may be asked again
 */
export async function resolveReceipt(
  client: pg.ClientBase,
  { id, number, session }: Receipt,
): Promise<string | null | undefined> {
  const found = await queryOneValue(client, resolve, [String(id), String(number), session]);
  if (found === null) return undefined;
  const { answer } = JSON.parse(found) as { answer: unknown };
  return answer === null ? null : JSON.stringify(answer);
}

const resolve: Statement = {
  name: "resolve_receipt",
  text: "SELECT resolve_receipt($1::bigint, $2::bigint, $3)",
};

/**
 * True when a batch ended without a change and for no reason of its own: it found its fence raised or its
 * receipt gone, or an administrator ended its session.
 */
export function endedForNoReason(error: unknown): boolean {
  const state = sqlState(error instanceof Error ? error.cause : undefined);
  return state === "BC001" || state === "57P01";
}
