/** The command line as a whole: help, errors and exit codes. The commands are beside it. */
import { type Argument, Command, CommanderError } from "commander";
import { asBalancectlError, BalancectlError } from "../errors.ts";
import { packageVersion } from "../package-root.ts";
import type { AddCommand } from "./command.ts";
import { commands } from "./commands/all.ts";
import type { Context } from "./context.ts";
import { watchDelivery } from "./delivery.ts";
import { exitCodeOf, StopSignal } from "./exit-codes.ts";
import type { Invocation } from "./invocation.ts";
import { createOutput, type Output } from "./output.ts";
import { settingsFileLine } from "./settings-file.ts";

/** Runs the command that argv names. @returns the exit code: 0 done, 1 failed, 2 wrong usage, 3 refused, or a signal's */
export async function run(asked: Invocation): Promise<number> {
  const delivery = watchDelivery(asked);
  // Without stdout there is nothing left to do but to close everything in order.
  const stopping = AbortSignal.any([asked.stopping, delivery.lost]);
  const invocation = { ...asked, stopping };
  const output = createOutput(invocation, invocation.argv.includes("--json"), stopping);
  const exitCode = await runCommand(invocation, output);
  await delivery.settled(asked.stopping);
  const { aborted, reason } = delivery.lost;
  // A reader that has seen enough, like head, is no error; a verdict stays what it is.
  if (!aborted || isClosedPipe(reason)) return exitCode;
  const done = exitCode === 0 ? "; the command itself succeeded" : "";
  asked.stderr.write(`balancectl: The output could not be written (${reason.message})${done}\n`);
  await delivery.settled(asked.stopping);
  return exitCode || 1;
}

async function runCommand(invocation: Invocation, output: Output): Promise<number> {
  let exitCode = 0;
  let { settingsFile } = invocation;
  const context: Context = {
    ...invocation,
    output,
    setExitCode: (code) => {
      exitCode = code;
    },
    loadConfig: async (flags = {}) => {
      const { loadConfig } = await import("../config.ts");
      const entries = Object.entries(flags).filter(([, value]) => value !== undefined);
      const given = Object.fromEntries(entries);
      const line = settingsFile && settingsFileLine(settingsFile, Object.keys(given));
      if (line !== undefined) invocation.stderr.write(`${line}\n`);
      settingsFile = undefined;
      return loadConfig({ ...invocation.env, ...given });
    },
  };
  const program = createProgram(invocation, output);
  for (const define of commands) define(program, addCommand, context);
  try {
    await program.parseAsync(asFlags(invocation.argv), { from: "user" });
    return exitCode;
  } catch (thrown) {
    return explain(thrown, invocation, output);
  }
}

function createProgram({ stdout, stderr }: Invocation, { json }: Output): Command {
  return new Command("balancectl")
    .description("User balances on PostgreSQL that stay exact under any load.")
    .version(packageVersion(), "-V, --version")
    .exitOverride()
    .showHelpAfterError("(balancectl --help shows all commands, balancectl <command> --help one)")
    .helpCommand(false)
    .configureHelp({ subcommandTerm: termOf, minWidthToWrap: helpColumnMin })
    .addHelpText("after", examples)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // With --json the error is a document on stdout instead.
      writeErr: (text) => !json && stderr.write(text),
    });
}

/** A column of descriptions that is narrower is not wrapped but cut by the terminal, amid words. */
const helpColumnMin = 20;

/** Without "[options]": every command has some, and the descriptions need the room. */
function termOf(command: Command): string {
  return [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" ");
}

function argumentTerm(argument: Argument): string {
  return argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
}

/** What people type by habit: help, help adjust, version, -v, and --json before the command. */
function asFlags([first, ...rest]: readonly string[]): string[] {
  if (first === "--json" && rest.length > 0) {
    const end = rest.indexOf("--");
    return asFlags(rest.toSpliced(end < 0 ? rest.length : end, 0, first));
  }
  if (first === "help") return [...rest, "--help"];
  if (first === "version" || first === "-v") return ["--version", ...rest];
  return first === undefined ? [] : [first, ...rest];
}

const jsonHelp = "one JSON document on stdout and nothing else";

const addCommand: AddCommand = (parent, name, description, lines, json = jsonHelp) =>
  parent
    .command(name)
    .description(description)
    .option("--json", json)
    .helpCommand(false)
    .addHelpText(
      "after",
      `\nExamples:\n${lines.map((line) => `  $ balancectl ${line}`).join("\n")}`,
    );

const examples = `
Without DATABASE_URL an embedded PostgreSQL is started and kept.
All settings are in .env.example; balancectl help <command> shows one command.

Examples:
  $ balancectl stress --count 10000     prove the promise on this machine
  $ balancectl serve                    serve the API on http://127.0.0.1:3000
  $ balancectl adjust 1 -2              take 2 from user 1`;

function explain(thrown: unknown, { stopping, stderr, env }: Invocation, output: Output): number {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return 0;
    if (output.json) {
      const message = thrown.message.replace(/^error: /, "");
      output.failure(new BalancectlError("INVALID_REQUEST", message));
    }
    return 2;
  }
  if (stopping.aborted && thrown === stopping.reason) return stopped(thrown, output);
  const error = asBalancectlError(thrown);
  output.failure(withCause(error));
  if (env["LOG_LEVEL"] === "debug") stderr.write(`${stackOf(error)}\n`);
  return exitCodeOf[error.code];
}

/** Not done: a script must not take it for done, nor for failed, and a person sees that it was heard. */
function stopped(reason: unknown, output: Output): number {
  if (isClosedPipe(reason)) return 0;
  // Of what else stops it, a full disk or a parent that is gone, others tell.
  if (!(reason instanceof StopSignal)) return 1;
  output.failure(new BalancectlError("INTERRUPTED", reason.message));
  return reason.exitCode;
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/** Over HTTP a cause is kept back; on the command line it is for whom it concerns. */
function withCause(error: BalancectlError): BalancectlError {
  const { code, message, cause } = error;
  if (code === "INTERNAL") {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    return new BalancectlError(code, `${message}${why}\nLOG_LEVEL=debug shows where`);
  }
  if ((code === "DATABASE_UNAVAILABLE" || code === "OUTCOME_UNKNOWN") && cause instanceof Error) {
    const why = cause.message || (cause as NodeJS.ErrnoException).code;
    if (why && !message.includes(why)) return new BalancectlError(code, `${message} (${why})`);
  }
  return error;
}

function stackOf(error: BalancectlError): string {
  return String((error.cause instanceof Error && error.cause.stack) || error.stack);
}
