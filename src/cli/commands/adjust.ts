import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";
import { withWriteFlags } from "./write-flags.ts";

export const defineAdjust: DefineCommand = (program, add, context) => {
  const adjust = add(program, "adjust", "Change a user's balance.", [
    "adjust 1 500",
    "adjust 1 -2",
    "adjust 1 -2 --idempotency-key order-17 --reference 'order 17'",
  ])
    .argument("<userId>", "the user", is.userId)
    .argument("<amount>", "what is added, in minor units; negative takes away", is.signedAmount);
  withWriteFlags(adjust).action(async (userId, amount, flags) =>
    (await import("../actions/adjust.ts")).adjust(context, userId, amount, flags),
  );
};
