import { Option } from "commander";
import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface StressFlags {
  /** Of a closed loop; not looked at where there is a rate. */
  readonly count: number;
  /** A second; together with `duration`. */
  readonly rate?: number;
  /** Seconds. */
  readonly duration?: number;
  readonly concurrency?: number;
  readonly amount: number;
  readonly balance?: number;
  readonly user?: number;
  readonly users: number;
  readonly skew?: number;
  readonly seed?: number;
  readonly url?: string;
  readonly keys?: boolean;
  /** Seconds. */
  readonly timeout: number;
}

export const defineStress: DefineCommand = (program, add, context) => {
  const command = add(
    program,
    "stress",
    "Fire simultaneous withdrawals at one balance; check every answer, the balance and the journal.",
    [
      "stress --count 10000",
      "stress --count 10000 --concurrency 100 --json",
      "stress --amount 3 --url https://balances.example.com",
      "stress --rate 500 --duration 10 --users 20 --skew 1.1",
    ],
  )
    .summary("Prove the promise: fire withdrawals, check everything.")
    .option("--count <count>", "how many withdrawals", is.requestCount, 10_000)
    .addOption(
      new Option("--rate <rate>", "open loop: how many a second, however slow the answers are")
        .argParser(is.rate)
        .conflicts("count"),
    )
    .addOption(
      new Option("--duration <seconds>", "with --rate: for how long")
        .argParser(is.runSeconds)
        .conflicts("count"),
    )
    .option(
      "--concurrency <count>",
      "how many at once, each on a socket of its own (default: all; with --rate at most 1000)",
      is.socketCount,
    )
    .option("--amount <amount>", "what each withdraws", is.positiveAmount, 2)
    .option(
      "--balance <balance>",
      "what each user made for the run has (default: 10000)",
      is.balance,
    )
    .option("--user <id>", "withdraw from this user instead", is.userId)
    .addOption(
      new Option("--users <count>", "how many users to make for the run")
        .argParser(is.userCount)
        .default(1)
        .conflicts("user"),
    )
    .option(
      "--skew <exponent>",
      "how unequal the users are: Zipf's law (default: 0, alike)",
      is.skew,
    )
    .option("--seed <seed>", "pick the users as the run with this seed did", is.seed)
    .option(
      "--url <url>",
      "the server to load (default: the one on HOST and PORT, else one of its own)",
    )
    .option("--keys", "give each request an Idempotency-Key (default: as BALANCECTL_REQUIRE_KEYS)")
    .option("--timeout <seconds>", "how long an answer may take", is.timeoutSeconds, 30)
    .action(async (flags) => {
      if ((flags.rate === undefined) !== (flags.duration === undefined)) {
        command.error("error: --rate and --duration go together");
      }
      if (flags.users === 1 && (flags.skew !== undefined || flags.seed !== undefined)) {
        command.error("error: --skew and --seed are for several users (--users)");
      }
      context.setExitCode(await (await import("../actions/stress.ts")).stress(context, flags));
    });
};
