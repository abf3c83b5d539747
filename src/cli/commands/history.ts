import { Option } from "commander";
import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";
import { type ServerFlags, withServerFlags } from "./server-flags.ts";

export interface HistoryFlags extends ServerFlags {
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly limit?: number;
  readonly order: "asc" | "desc";
  readonly from?: string;
  readonly to?: string;
}

export const defineHistory: DefineCommand = (program, add, context) => {
  const history = add(
    program,
    "history",
    "Print a user's journal: a table, NDJSON (--json) or CSV.",
    [
      "history 1 --limit 20",
      "history 1 --csv --order asc > user-1.csv",
      "history 1 --json --from 2026-01-01 --to 2026-02-01",
      "history 1 --from yesterday",
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
    .option("--from <time>", "from then on: 2026-01-31, yesterday, 7d (ago), RFC 3339")
    .option("--to <time>", "before then; days are UTC, and begin at midnight");
  withServerFlags(history).action(async (userId, flags) =>
    (await import("../actions/history.ts")).history(context, userId, flags),
  );
};
