import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface PruneFlags {
  readonly days?: number;
}

export const definePrune: DefineCommand = (program, add, context) => {
  add(program, "prune", "Remove idempotency keys that are past their time.", [
    "prune",
    "prune --days 7",
  ])
    .option("--days <days>", "older than this (BALANCECTL_IDEMPOTENCY_DAYS, 30)", is.days)
    .action(async (flags) => (await import("../actions/prune.ts")).prune(context, flags));
};
