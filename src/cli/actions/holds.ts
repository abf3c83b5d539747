import { closedHoldView, holdView } from "../../http/contract/views.ts";
import { parseRequest, uuidText } from "../../ledger/fields.ts";
import type { Hold } from "../../ledger/holds.ts";
import type {
  Applied,
  CaptureOperation,
  HoldOperation,
  VoidOperation,
} from "../../ledger/operation.ts";
import { refusalError } from "../../ledger/refusal.ts";
import {
  capture as captureOperation,
  hold as holdOperation,
  voidHold as voidOperation,
} from "../../ledger/request.ts";
import type { CaptureFlags, HoldFlags, HoldsFlags } from "../commands/holds.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { pagesOf, printListing } from "../listing.ts";
import { grouped } from "../output.ts";
import { withLedger } from "../with-ledger.ts";
import { writeOptions } from "../write-options.ts";

/** Takes an amount out of what a user can spend. */
export async function hold(
  context: Context,
  userId: number,
  amount: number,
  flags: HoldFlags,
): Promise<void> {
  const { output } = context;
  const operation = holdOperation(userId, amount, flags.expiresIn, writeOptions(flags));
  const outcome = await applied(context, operation);
  const { hold: made, balance } = outcome;
  const data = { ...holdView(made), balance };
  output.result({ success: true, data }, () => {
    const left = output.paint.bold(grouped(balance));
    return `Hold ${made.id}: ${grouped(amount)} of user ${userId}, who can spend ${left}`;
  });
}

/** Takes a hold's money for good, or a part of it; the rest goes back. */
export async function capture(
  context: Context,
  userId: number,
  holdText: string,
  flags: CaptureFlags,
): Promise<void> {
  const { output } = context;
  const { amount, to } = flags;
  const holdId = parseRequest(uuidText, holdText, "<holdId>");
  const operation = captureOperation({ userId, holdId, amount, to }, writeOptions(flags));
  const outcome = await applied(context, operation);
  const { hold: closed, balance } = outcome;
  output.result({ success: true, data: closedHoldView(closed, balance, to) }, () => {
    const payee = to === undefined ? "" : ` for user ${to}`;
    const part = `${grouped(closed.captured ?? 0)} of ${grouped(closed.amount)}`;
    const left = output.paint.bold(grouped(balance));
    return `Captured ${part}${payee}; user ${userId} can spend ${left}`;
  });
}

/** Gives a hold's money back. */
export async function voidHold(
  context: Context,
  userId: number,
  holdText: string,
  flags: WriteFlags,
): Promise<void> {
  const { output } = context;
  const holdId = parseRequest(uuidText, holdText, "<holdId>");
  const outcome = await applied(context, voidOperation(userId, holdId, writeOptions(flags)));
  const { hold: closed, balance } = outcome;
  output.result({ success: true, data: closedHoldView(closed, balance) }, () => {
    const left = output.paint.bold(grouped(balance));
    return `Voided: ${grouped(closed.amount)} back to user ${userId}, who can spend ${left}`;
  });
}

/** Lists a user's holds: open ones first, then closed ones, newest first in each. */
export async function holds(
  context: Context,
  userId: number,
  { limit }: HoldsFlags,
): Promise<void> {
  const { output, stopping } = context;
  const last = await withLedger(context, async (ledger) => {
    const pages = pagesOf<Hold>(limit, async (after, count) => {
      stopping.throwIfAborted();
      const open = after === undefined || after.state === "open";
      const position = { open, before: after?.id ?? null };
      return await ledger.holds(userId, position, count);
    });
    return await printListing(output, pages, {
      ...{ name: "holds", view: holdView, rest: (hold) => ({ more: hold !== undefined }) },
      head: ["hold", "state", "amount", "captured", "created", "expires"],
      ...{ row: holdRow, right: [2, 3], none: `No holds of user ${userId}` },
    });
  });
  if (last !== undefined) output.note("There are more: --limit says how many are shown");
}

function holdRow({ id, state, amount, captured, createdAt, expiresAt }: Hold): string[] {
  return [
    ...[id, state, grouped(amount), captured === null ? "" : grouped(captured)],
    ...[createdAt.toISOString(), expiresAt?.toISOString() ?? "never"],
  ];
}

async function applied<O extends HoldOperation | CaptureOperation | VoidOperation>(
  context: Context,
  operation: O,
): Promise<Applied<O>> {
  return await withLedger(context, async (ledger) => {
    const outcome = await ledger.apply(operation);
    if (outcome.refusal === null) return outcome;
    throw refusalError(outcome, operation);
  });
}
