import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface VerifyFlags {
  readonly user?: number;
  /** Prints every finding, not the first few. */
  readonly all?: boolean;
}

export const defineVerify: DefineCommand = (program, add, context) => {
  add(program, "verify", "Re-derive every balance from the journal and report what disagrees.", [
    "verify",
    "verify --user 1 --json",
  ])
    .option("--user <id>", "only this user", is.userId)
    .option("--all", "print every finding (default: the first 20 and their number)")
    .action(async (flags) => {
      context.setExitCode(await (await import("../actions/verify.ts")).verify(context, flags));
    });
};
