import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";
import { type ServerFlags, withServerFlags } from "./server-flags.ts";
import { type WriteFlags, withWriteFlags } from "./write-flags.ts";

export interface HoldFlags extends WriteFlags {
  /** Seconds. */
  readonly expiresIn?: number;
}

export interface CaptureFlags extends WriteFlags {
  readonly amount?: number;
  readonly to?: number;
}

export interface HoldsFlags extends ServerFlags {
  readonly limit: number;
}

/** hold, capture, void and holds. */
export const defineHolds: DefineCommand = (program, add, context) => {
  const hold = add(program, "hold", "Take an amount out of what a user can spend, for now.", [
    "hold 1 40",
    "hold 1 40 --expires-in 1h",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<amount>", "in minor units", is.positiveAmount)
    .option(
      "--expires-in <time>",
      "give it back after 90 (seconds), 1h, 7d (default: never)",
      is.lifetime,
    );
  withWriteFlags(hold).action(async (userId, amount, flags) =>
    (await import("../actions/holds.ts")).hold(context, userId, amount, flags),
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
    (await import("../actions/holds.ts")).capture(context, userId, holdId, flags),
  );

  const voidHold = add(program, "void", "Give a hold's money back.", [
    "void 1 019a7c1e-5b7a-7cc3-98c4-dc0c0c070000",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<holdId>", "the hold");
  withWriteFlags(voidHold).action(async (userId, holdId, flags) =>
    (await import("../actions/holds.ts")).voidHold(context, userId, holdId, flags),
  );

  const holds = add(program, "holds", "List a user's holds: open ones first, newest first.", [
    "holds 1",
    "holds 1 --limit 20",
  ])
    .argument("<userId>", "the user", is.userId)
    .option("--limit <count>", "at most this many", is.rowCount, 100);
  withServerFlags(holds).action(async (userId, flags) =>
    (await import("../actions/holds.ts")).holds(context, userId, flags),
  );
};
