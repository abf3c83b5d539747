/** The command line: names, arguments, flags and help. A command's code is loaded when it runs. */
import { Command, CommanderError } from "commander";
import { asBalancectlError, BalancectlError } from "../errors.ts";
import { packageVersion } from "../package-root.ts";
import * as is from "./arguments.ts";
import type { Context, Process } from "./context.ts";
import { createOutput, exitCodeOf } from "./output.ts";

/** Runs the command that argv names. @returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 refused */
export async function run(process: Process): Promise<number> {
  let exitCode = 0;
  const json = process.argv.includes("--json");
  const output = createOutput(process, json);
  const context: Context = {
    ...process,
    output,
    loadConfig: async (flags = {}) => {
      const { loadConfig } = await import("../config.ts");
      const given = Object.entries(flags).filter(([, value]) => value !== undefined);
      return loadConfig({ ...process.env, ...Object.fromEntries(given) });
    },
  };
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  program.configureOutput({
    writeOut: (text) => process.stdout.write(text),
    writeErr: (text) => process.stderr.write(text),
  });
  try {
    await program.parseAsync(process.argv, { from: "user" });
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    if (process.stopping.aborted && thrown === process.stopping.reason) return 1;
    const error = asBalancectlError(thrown);
    output.failure(error.code === "INTERNAL" ? explained(error) : error);
    if (process.env["LOG_LEVEL"] === "debug") process.stderr.write(`${stackOf(error)}\n`);
    return exitCodeOf[error.code];
  }
  return exitCode;
}

function createProgram(context: Context, setExitCode: (code: number) => void): Command {
  const program = new Command("balancectl")
    .description("User balances on PostgreSQL that stay exact under any load.")
    .version(packageVersion(), "-V, --version")
    .exitOverride()
    .showHelpAfterError("(balancectl --help shows all commands, balancectl <command> --help one)")
    .helpCommand(false)
    .addHelpText("after", rootExamples);
  const command = (name: string, description: string, examples: string) =>
    program
      .command(name)
      .description(description)
      .option("--json", "one JSON document on stdout and nothing else")
      .addHelpText("after", `\nExamples:\n${examples.replace(/^/gm, "  $ balancectl ")}`);

  command("serve", "Serve the HTTP API until Ctrl-C.", "serve\nserve --port 8080 --host 0.0.0.0")
    .option(
      "--port <port>",
      "port to listen on; 0 picks a free one (PORT, 3000)",
      is.wholeNumber(0, 65_535),
    )
    .option("--host <host>", "address to listen on (HOST, 127.0.0.1)")
    .option("--no-migrate", "do not bring the schema up to date; refuse to serve an older one")
    .action(async (flags) => (await import("./serve.ts")).serve(context, flags));

  const migrate = command(
    "migrate",
    "Bring the database schema up to date (up), revert it (down), or show it (status).",
    "migrate\nmigrate status --json\nmigrate down --to 0004-apply-operations",
  )
    .addArgument(
      program
        .createArgument("[action]", "what to do")
        .choices(["up", "down", "status"])
        .default("up"),
    )
    .option("--to <name>", "down: revert down to and including this one; 0 reverts all");
  migrate.action(async (action, flags) => {
    if (flags.to !== undefined && action !== "down") {
      migrate.error("error: --to goes with `balancectl migrate down`");
    }
    await (await import("./migrate.ts")).migrate(context, action, flags.to);
  });

  withWriteFlags(
    command(
      "adjust",
      "Change a user's balance, straight on the database.",
      "adjust 1 500\nadjust 1 -2\nadjust 1 -2 --idempotency-key order-17 --reference 'order 17'",
    ),
  )
    .argument("<userId>", "the user", is.userId)
    .argument("<amount>", "what is added, in minor units; negative takes away", is.signedAmount)
    .action(async (userId, amount, flags) =>
      (await import("./adjust.ts")).adjust(context, userId, amount, flags),
    );

  command(
    "stress",
    "Fire simultaneous withdrawals at one balance and check every answer, the balance and the journal.",
    "stress --count 10000\nstress --count 10000 --concurrency 100 --json\nstress --count 10000 --amount 3 --url https://balances.example.com",
  )
    .option("--count <count>", "how many withdrawals", is.wholeNumber(1, 10_000_000), 10_000)
    .option(
      "--concurrency <count>",
      "how many at once, each on a socket of its own (default: all)",
      is.wholeNumber(1, 1_000_000),
    )
    .option("--amount <amount>", "what each withdraws", is.positiveAmount, 2)
    .option(
      "--balance <balance>",
      "what the user made for the run begins with (default: 10000)",
      is.balance,
    )
    .option("--user <id>", "withdraw from this user instead", is.userId)
    .option(
      "--url <url>",
      "the server to load (default: the one on HOST and PORT, else one of its own)",
    )
    .option("--timeout <seconds>", "how long an answer may take", is.wholeNumber(1, 3_600), 30)
    .action(async (flags) => {
      setExitCode(await (await import("./stress.ts")).stress(context, flags));
    });

  return program;
}

function withWriteFlags(command: Command): Command {
  return command
    .option(
      "--idempotency-key <key>",
      "repeat safely: the same key never changes the balance twice",
    )
    .option("--reference <text>", "kept on the journal entry, up to 255 characters")
    .option("--metadata <json>", "a JSON object kept on the journal entry");
}

const rootExamples = `
Without DATABASE_URL an embedded PostgreSQL is started and kept. Settings: .env.example.

Examples:
  $ balancectl stress --count 10000     prove the promise on this machine
  $ balancectl serve                    serve the API on http://127.0.0.1:3000
  $ balancectl adjust 1 -2              take 2 from user 1`;

function explained(error: BalancectlError): BalancectlError {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return new BalancectlError("INTERNAL", `${error.message}${cause}\nLOG_LEVEL=debug shows where`);
}

function stackOf(error: BalancectlError): string {
  return String((error.cause instanceof Error && error.cause.stack) || error.stack);
}
