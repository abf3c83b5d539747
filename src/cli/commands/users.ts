import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";
import { type ServerFlags, withServerFlags } from "./server-flags.ts";
import { type WriteFlags, withWriteFlags } from "./write-flags.ts";

export interface CreateFlags extends WriteFlags {
  readonly id?: number;
  readonly balance: number;
}

export interface ListFlags extends ServerFlags {
  readonly limit: number;
  /** Ids beyond this one. */
  readonly after: number;
}

/** users create, list and show. */
export const defineUsers: DefineCommand = (program, add, context) => {
  const users = program
    .command("users")
    .description("Open, list and show users.")
    .addHelpText(
      "after",
      "\nExamples:\n  $ balancectl users create --balance 10000\n  $ balancectl users show 1",
    )
    .helpCommand(false);

  const create = add(users, "create", "Open a user.", [
    "users create --balance 10000",
    "users create --id 42",
  ])
    .option("--id <id>", "under this id (default: the next free one)", is.userId)
    .option("--balance <balance>", "what the user begins with", is.balance, 0);
  withWriteFlags(create).action(async (flags) =>
    (await import("../actions/users.ts")).createUser(context, flags),
  );

  const list = add(users, "list", "List users in the order of their ids.", [
    "users list --limit 20",
    "users list --after 20",
  ])
    .option("--limit <count>", "at most this many", is.rowCount, 100)
    .option("--after <id>", "only ids beyond this one", is.afterId, 0);
  withServerFlags(list).action(async (flags) =>
    (await import("../actions/users.ts")).listUsers(context, flags),
  );

  const show = add(users, "show", "Show one user.", ["users show 1"]).argument(
    "<userId>",
    "the user",
    is.userId,
  );
  withServerFlags(show).action(async (userId, flags) =>
    (await import("../actions/users.ts")).showUser(context, userId, flags),
  );
};
