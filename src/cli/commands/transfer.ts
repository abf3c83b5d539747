import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";
import { withWriteFlags } from "./write-flags.ts";

export const defineTransfer: DefineCommand = (program, add, context) => {
  const transfer = add(program, "transfer", "Move an amount from one user to another.", [
    "transfer 1 2 500",
    "transfer 1 2 500 --reference 'invoice 9'",
  ])
    .argument("<from>", "the user who pays", is.userId)
    .argument("<to>", "the user who receives", is.userId)
    .argument("<amount>", "in minor units", is.positiveAmount);
  withWriteFlags(transfer).action(async (from, to, amount, flags) =>
    (await import("../actions/transfer.ts")).transfer(context, from, to, amount, flags),
  );
};
