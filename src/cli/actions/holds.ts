import type { Hold } from "../../client/shapes.ts";
import { parseRequest, uuidText } from "../../ledger/fields.ts";
import { capture as captureOperation } from "../../ledger/request.ts";
import { withAccounts } from "../accounts/with-accounts.ts";
import type { CaptureFlags, HoldFlags, HoldsFlags } from "../commands/holds.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { printListing } from "../listing.ts";
import { grouped } from "../output.ts";
import { writeOptions } from "../write-options.ts";

/** Takes an amount out of what a user can spend. */
export async function hold(
  context: Context,
  userId: number,
  amount: number,
  flags: HoldFlags,
): Promise<void> {
  const { output } = context;
  const asked = { amount, lifetimeSeconds: flags.expiresIn };
  const options = writeOptions(flags);
  const data = await withAccounts(context, flags, (accounts) =>
    accounts.hold(userId, asked, options),
  );
  output.result({ success: true, data }, () => {
    const left = output.paint.bold(grouped(data.balance));
    return `Hold ${data.id}: ${grouped(amount)} of user ${userId}, who can spend ${left}`;
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
  const options = writeOptions(flags);
  // What cannot be is said before there is a connection.
  captureOperation({ userId, holdId, amount, to }, options);
  const data = await withAccounts(context, flags, (accounts) =>
    accounts.capture(userId, holdId, { amount, to }, options),
  );
  output.result({ success: true, data }, () => {
    const payee = to === undefined ? "" : ` for user ${to}`;
    const part = `${grouped(data.captured ?? 0)} of ${grouped(data.amount)}`;
    const left = output.paint.bold(grouped(data.balance));
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
  const options = writeOptions(flags);
  const data = await withAccounts(context, flags, (accounts) =>
    accounts.voidHold(userId, holdId, options),
  );
  output.result({ success: true, data }, () => {
    const left = output.paint.bold(grouped(data.balance));
    return `Voided: ${grouped(data.amount)} back to user ${userId}, who can spend ${left}`;
  });
}

/** Lists a user's holds: open ones first, then closed ones, newest first in each. */
export async function holds(context: Context, userId: number, flags: HoldsFlags): Promise<void> {
  const { output } = context;
  const last = await withAccounts(context, flags, (accounts) =>
    printListing(output, accounts.holds(userId, flags.limit), {
      ...{ name: "holds", view: asItIs, rest: (hold) => ({ more: hold !== undefined }) },
      head: ["hold", "state", "amount", "captured", "created", "expires"],
      ...{ row: holdRow, right: [2, 3], none: `No holds of user ${userId}` },
    }),
  );
  if (last !== undefined) output.note("There are more: --limit says how many are shown");
}

function asItIs(hold: Hold): Hold {
  return hold;
}

function holdRow({ id, state, amount, captured, createdAt, expiresAt }: Hold): string[] {
  return [
    ...[id, state, grouped(amount), captured === undefined ? "" : grouped(captured)],
    ...[createdAt, expiresAt ?? "never"],
  ];
}
