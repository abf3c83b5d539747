/** Commands that read or change balances, straight on the database. */
import { type Command, Option } from "commander";
import * as is from "./arguments.ts";
import type { Context } from "./context.ts";
import type { AddCommand } from "./program.ts";

export function addLedgerCommands(program: Command, add: AddCommand, context: Context): void {
  const adjust = add(program, "adjust", "Change a user's balance.", [
    "adjust 1 500",
    "adjust 1 -2",
    "adjust 1 -2 --idempotency-key order-17 --reference 'order 17'",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<amount>", "what is added, in minor units; negative takes away", is.signedAmount);
  withWriteFlags(adjust).action(async (userId, amount, flags) =>
    (await import("./adjust.ts")).adjust(context, userId, amount, flags),
  );

  const transfer = add(program, "transfer", "Move an amount from one user to another.", [
    "transfer 1 2 500",
    "transfer 1 2 500 --reference 'invoice 9'",
  ])
    .argument("<from>", "the user who pays", is.userId)
    .argument("<to>", "the user who receives", is.userId)
    .argument("<amount>", "in minor units", is.positiveAmount);
  withWriteFlags(transfer).action(async (from, to, amount, flags) =>
    (await import("./transfer.ts")).transfer(context, from, to, amount, flags),
  );

  addHoldCommands(program, add, context);
  addUsersCommands(program, add, context);

  add(
    program,
    "history",
    "Print a user's journal: a table, NDJSON (--json) or CSV.",
    [
      "history 1 --limit 20",
      "history 1 --csv --order asc > user-1.csv",
      "history 1 --json --from 2026-01-01T00:00:00Z",
    ],
    "one JSON document on stdout for each entry, a line each",
  )
    .argument("<userId>", "the user", is.userId)
    .addOption(new Option("--csv", "comma-separated values with a head line").conflicts("json"))
    .option("--limit <count>", "at most this many (default: all)", is.rowCount)
    .addOption(
      new Option("--order <order>", "newest or oldest first")
        .choices(["desc", "asc"])
        .default("desc"),
    )
    .option("--from <time>", "from this moment on (RFC 3339 with offset)")
    .option("--to <time>", "before this moment (RFC 3339 with offset)")
    .action(async (userId, flags) =>
      (await import("./history.ts")).history(context, userId, flags),
    );
}

function addHoldCommands(program: Command, add: AddCommand, context: Context): void {
  const hold = add(program, "hold", "Take an amount out of what a user can spend, for now.", [
    "hold 1 40",
    "hold 1 40 --expires-in 3600",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<amount>", "in minor units", is.positiveAmount)
    .option("--expires-in <seconds>", "give it back after this (default: never)", is.lifetime);
  withWriteFlags(hold).action(async (userId, amount, flags) =>
    (await import("./holds.ts")).hold(context, userId, amount, flags),
  );

  const capture = add(program, "capture", "Take a hold's money for good; the rest goes back.", [
    "capture 1 019a7c1e-5b7a-7cc3-98c4-dc0c0c070000",
    "capture 1 019a7c1e-5b7a-7cc3-98c4-dc0c0c070000 --amount 30 --to 2",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<holdId>", "the hold")
    .option("--amount <amount>", "how much of it (default: all)", is.positiveAmount)
    .option("--to <userId>", "who is paid (default: nobody in this ledger)", is.userId);
  withWriteFlags(capture).action(async (userId, holdId, flags) =>
    (await import("./holds.ts")).capture(context, userId, holdId, flags),
  );

  const voidHold = add(program, "void", "Give a hold's money back.", [
    "void 1 019a7c1e-5b7a-7cc3-98c4-dc0c0c070000",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<holdId>", "the hold");
  withWriteFlags(voidHold).action(async (userId, holdId, flags) =>
    (await import("./holds.ts")).voidHold(context, userId, holdId, flags),
  );

  add(program, "holds", "List a user's holds: open ones first, newest first.", [
    "holds 1",
    "holds 1 --limit 20",
  ])
    .argument("<userId>", "the user", is.userId)
    .option("--limit <count>", "at most this many", is.rowCount, 100)
    .action(async (userId, flags) => (await import("./holds.ts")).holds(context, userId, flags));
}

function addUsersCommands(program: Command, add: AddCommand, context: Context): void {
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
    (await import("./users.ts")).createUser(context, flags),
  );

  add(users, "list", "List users in the order of their ids.", [
    "users list --limit 20",
    "users list --after 20",
  ])
    .option("--limit <count>", "at most this many", is.rowCount, 100)
    .option("--after <id>", "only ids beyond this one", is.afterId, 0)
    .action(async (flags) => (await import("./users.ts")).listUsers(context, flags));

  add(users, "show", "Show one user.", ["users show 1"])
    .argument("<userId>", "the user", is.userId)
    .action(async (userId) => (await import("./users.ts")).showUser(context, userId));
}

function withWriteFlags(command: Command): Command {
  return command
    .option("--idempotency-key <key>", "repeat safely: the same key never changes a balance twice")
    .option("--reference <text>", "kept on the journal entry, up to 255 characters")
    .option("--metadata <json>", "a JSON object kept on the journal entry");
}
