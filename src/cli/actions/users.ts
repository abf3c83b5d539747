import type { UserInList } from "../../client/shapes.ts";
import { withAccounts } from "../accounts/with-accounts.ts";
import type { ServerFlags } from "../commands/server-flags.ts";
import type { CreateFlags, ListFlags } from "../commands/users.ts";
import type { Context } from "../context.ts";
import { printListing } from "../listing.ts";
import { grouped, table } from "../output.ts";
import { writeOptions } from "../write-options.ts";

export async function createUser(context: Context, flags: CreateFlags): Promise<void> {
  const { output } = context;
  const { id, balance } = flags;
  const options = writeOptions(flags);
  const data = await withAccounts(context, flags, (accounts) =>
    accounts.openUser({ id, balance }, options),
  );
  output.result({ success: true, data }, () => {
    return `User ${data.id} opened with ${output.paint.bold(grouped(balance))}`;
  });
}

export async function listUsers(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const { limit, after } = flags;
  const last = await withAccounts(context, flags, (accounts) =>
    printListing(output, accounts.users(after, limit), {
      ...{ name: "users", view: asItIs, rest: (user) => ({ next: user?.id ?? null }) },
      ...{ head: userHead, row: userRow, right: userNumbers, none: `No users beyond ${after}` },
    }),
  );
  if (last !== undefined) output.note(`More: --after ${last.id}`);
}

export async function showUser(
  context: Context,
  userId: number,
  flags: ServerFlags,
): Promise<void> {
  const { output } = context;
  const data = await withAccounts(context, flags, (accounts) => accounts.user(userId));
  output.result({ success: true, data }, () => table([userHead, userRow(data)], userNumbers));
}

function asItIs(user: UserInList): UserInList {
  return user;
}

const userHead = ["user", "balance", "held", "entries", "last change"];
const userNumbers = [0, 1, 2, 3];

function userRow({ id, balance, held, version, updatedAt }: UserInList): string[] {
  return [String(id), grouped(balance), grouped(held), grouped(version), updatedAt];
}
