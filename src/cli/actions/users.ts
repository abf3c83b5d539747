import { userView } from "../../http/contract/views.ts";
import type { User } from "../../ledger/reads.ts";
import { refusalError } from "../../ledger/refusal.ts";
import { opening } from "../../ledger/request.ts";
import type { CreateFlags, ListFlags } from "../commands/users.ts";
import type { Context } from "../context.ts";
import { pagesOf, printListing } from "../listing.ts";
import { grouped, table } from "../output.ts";
import { withLedger } from "../with-ledger.ts";
import { writeOptions } from "../write-options.ts";

export async function createUser(context: Context, flags: CreateFlags): Promise<void> {
  const { output } = context;
  const { id, balance } = flags;
  const options = writeOptions(flags);
  const outcome = await withLedger(context, (ledger) => ledger.openUser({ id, balance }, options));
  if (outcome.refusal !== null) throw refusalError(outcome, opening(id ?? 0, balance, id));
  const { createdUserId: userId } = outcome;
  output.result({ success: true, data: { id: userId, balance } }, () => {
    return `User ${userId} opened with ${output.paint.bold(grouped(balance))}`;
  });
}

export async function listUsers(context: Context, { limit, after }: ListFlags): Promise<void> {
  const { output, stopping } = context;
  const last = await withLedger(context, (ledger) => {
    const pages = pagesOf<User>(limit, async (user, count) => {
      stopping.throwIfAborted();
      return await ledger.users(user?.id ?? after, count);
    });
    return printListing(output, pages, {
      ...{ name: "users", view: userView, rest: (user) => ({ next: user?.id ?? null }) },
      ...{ head: userHead, row: userRow, right: userNumbers, none: `No users beyond ${after}` },
    });
  });
  if (last !== undefined) output.note(`More: --after ${last.id}`);
}

export async function showUser(context: Context, userId: number): Promise<void> {
  const { output } = context;
  const user = await withLedger(context, (ledger) => ledger.user(userId));
  output.result({ success: true, data: userView(user) }, () =>
    table([userHead, userRow(user)], userNumbers),
  );
}

const userHead = ["user", "balance", "held", "entries", "last change"];
const userNumbers = [0, 1, 2, 3];

function userRow({ id, balance, held, version, updatedAt }: User): string[] {
  return [String(id), grouped(balance), grouped(held), grouped(version), updatedAt.toISOString()];
}
