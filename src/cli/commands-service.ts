/** Commands about the service as a whole. A command's code is loaded when it runs. */
import { Argument, type Command, Option } from "commander";
import * as is from "./arguments.ts";
import type { Context } from "./context.ts";
import type { AddCommand } from "./program.ts";

export function addServiceCommands(
  program: Command,
  add: AddCommand,
  context: Context,
  setExitCode: (code: number) => void,
): void {
  add(program, "serve", "Serve the HTTP API until Ctrl-C.", [
    "serve",
    "serve --port 8080 --host 0.0.0.0",
    "serve --workers 4",
  ])
    .option("--port <port>", "port to listen on; 0 picks a free one (PORT, 3000)", is.port)
    .option("--host <host>", "address to listen on (HOST, 127.0.0.1)")
    .option("--workers <count>", "processes that share the port", is.workerCount, 1)
    .option("--no-migrate", "do not bring the schema up to date; refuse to serve an older one")
    .action(async (flags) => (await import("./serve.ts")).serve(context, flags));

  const migrate = add(
    program,
    "migrate",
    "Bring the database schema up to date (up), revert it (down), or show it (status).",
    ["migrate", "migrate status --json", "migrate down --to 0004-apply-operations --yes"],
  )
    .summary("Bring the schema up to date, revert or show it.")
    .addArgument(
      new Argument("[action]", "what to do").choices(["up", "down", "status"]).default("up"),
    )
    .option(
      "--to <name>",
      "down: revert down to and including this one; 0 reverts all, and every balance is gone",
    )
    .option("--yes", "down: do not ask for the name of the database");
  migrate.action(async (action, flags) => {
    for (const flag of ["to", "yes"]) {
      if (flags[flag] !== undefined && action !== "down") {
        migrate.error(`error: --${flag} goes with \`balancectl migrate down\``);
      }
    }
    setExitCode(await (await import("./migrate.ts")).migrate(context, action, flags));
  });

  addStress(program, add, context, setExitCode);

  add(program, "verify", "Re-derive every balance from the journal and report what disagrees.", [
    "verify",
    "verify --user 1 --json",
  ])
    .option("--user <id>", "only this user", is.userId)
    .option("--all", "print every finding (default: the first 20 and their number)")
    .action(async (flags) => {
      setExitCode(await (await import("./verify.ts")).verify(context, flags));
    });

  add(program, "prune", "Remove idempotency keys that are past their time.", [
    "prune",
    "prune --days 7",
  ])
    .option("--days <days>", "older than this (BALANCECTL_IDEMPOTENCY_DAYS, 30)", is.days)
    .action(async (flags) => (await import("./prune.ts")).prune(context, flags));
}

function addStress(
  program: Command,
  add: AddCommand,
  context: Context,
  setExitCode: (code: number) => void,
): void {
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
      setExitCode(await (await import("./stress.ts")).stress(context, flags));
    });
}
