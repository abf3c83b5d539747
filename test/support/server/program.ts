/** The built program as a process: what a person runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../../src/package-root.ts";
import { afterFile } from "../cleanup.ts";

export const script = join(packageRoot, "dist/bin/balancectl.js");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Where {
  /** The folder it runs in; a `.env` there is read. */
  readonly cwd?: string;
  /** Another built program than this checkout's. */
  readonly script?: string;
}

/** Runs a command to its end. `env` replaces the environment but for PATH and HOME. */
export async function balancectl(
  args: readonly string[],
  env: Environment = {},
  where: Where = {},
): Promise<Finished> {
  const child = start(args, env, where);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const code = await exited(child);
  return { code, stdout, stderr };
}

export interface RunningServer {
  readonly url: string;
  /** The whole of what it said when it was ready. */
  readonly hello: Readonly<Record<string, unknown>>;
  readonly child: ChildProcess;
  readonly stderr: () => string;
  /** Sends the signal; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** `serve --json --port 0`, ready to be asked. Stopped after the file. */
export async function startServer(
  env: Environment,
  args: readonly string[] = [],
  where: Where = {},
): Promise<RunningServer> {
  const child = start(["serve", "--json", "--port", "0", ...args], env, where);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const end = exited(child);
  afterFile(async () => {
    child.kill("SIGKILL");
    await end;
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const first = await new Promise<string>((resolve, reject) => {
    lines.once("line", resolve);
    end.then((code) => reject(new Error(`serve ended with ${code}: ${stderr}`)), reject);
  });
  const hello = JSON.parse(first) as { url: string };
  return {
    url: hello.url,
    hello: { ...hello },
    child,
    stderr: () => stderr,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return end;
    },
  };
}

function start(args: readonly string[], env: Environment, where: Where): ChildProcess {
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, [where.script ?? script, ...args], {
    env: { PATH, HOME, NO_COLOR: "1", LOG_LEVEL: "warn", ...env },
    cwd: where.cwd ?? "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function exited(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code));
  });
}
