/** Commands on one database, as a person types them. */
import { type ChildProcess, spawn } from "node:child_process";
import { Writable } from "node:stream";
import { expect } from "vitest";
import { run as runProgram } from "../../../src/cli/program.ts";
import { afterFile } from "../cleanup.ts";
import { balancectl, type Environment, type Finished, script } from "./program.ts";

export interface CommandLine {
  /** The built program as a process of its own: half a second of a processor. */
  spawn(...args: string[]): Promise<Finished>;
  /** The same, while it runs; its output is not looked at. Ended after the file. */
  start(...args: string[]): ChildProcess;
  /** The same command in this process: all of the program but bin/. */
  run(...args: string[]): Promise<Finished>;
  /** Runs to exit code 0 and returns what --json prints. */
  json<T>(...args: string[]): Promise<T>;
  /** Exit code, stdout and stderr, whole. */
  expectRun(args: readonly string[], finished: Partial<Finished>): Promise<void>;
}

/** What every command that needs the database says first, on stderr. */
export const connecting = "Connecting to the database\n";

export function commandLine(databaseUrl: string, more: Record<string, string> = {}): CommandLine {
  const env = { DATABASE_URL: databaseUrl, ...more };
  const run = (...args: string[]) => runHere(args, env);
  return {
    run,
    spawn: (...args) => balancectl(args, env),
    start: (...args) => {
      const child = spawn(process.execPath, [script, ...args], {
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
        stdio: "ignore",
      });
      afterFile(() => child.kill("SIGKILL"));
      return child;
    },
    json: async <T>(...args: string[]) => {
      const { code, stdout, stderr } = await run(...args, "--json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return JSON.parse(stdout) as T;
    },
    expectRun: async (args, { code = 0, stdout = "", stderr = connecting }) => {
      expect([args, await run(...args)]).toEqual([args, { code, stdout, stderr }]);
    },
  };
}

/** A command in this process: all of the program but bin/. */
export async function runHere(argv: readonly string[], env: Environment = {}): Promise<Finished> {
  const [stdout, stderr] = [collect(), collect()];
  const code = await runProgram({
    argv,
    settingsFile: undefined,
    env: { NO_COLOR: "1", LOG_LEVEL: "warn", ...env },
    stdin: () => process.stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    stopping: new AbortController().signal,
    nodePath: process.execPath,
    script,
    parent: undefined,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

/** A stream that is no terminal, and everything that was written to it. */
function collect(): { stream: NodeJS.WriteStream; text: () => string } {
  let text = "";
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk, _encoding, done) => {
      text += chunk;
      done();
    },
  });
  return { stream: stream as NodeJS.WriteStream, text: () => text };
}

/** What --json prints for a failure: one document on stdout, nothing on stderr. */
export function failure(code: string, message: string): Pick<Finished, "stdout" | "stderr"> {
  return {
    stdout: `${JSON.stringify({ success: false, error: { code, message } })}\n`,
    stderr: "",
  };
}

/** How commander ends a refusal of what was typed. */
export const usageHint =
  "(balancectl --help shows all commands, balancectl <command> --help one)\n";
