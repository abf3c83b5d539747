/** The built program as a process: what a person runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import { packageRoot } from "../../src/package-root.ts";

export const script = join(packageRoot, "dist/bin/balancectl.js");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs a command to its end. `env` replaces the environment but for PATH and HOME. */
export async function balancectl(
  args: readonly string[],
  env: Environment = {},
): Promise<Finished> {
  const child = start(args, env);
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
  readonly child: ChildProcess;
  readonly stderr: () => string;
  /** Sends the signal; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** `serve --json --port 0`, ready to be asked. Stopped after the file. */
export async function startServer(
  env: Environment,
  args: readonly string[] = [],
): Promise<RunningServer> {
  const child = start(["serve", "--json", "--port", "0", ...args], env);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const end = exited(child);
  afterAll(async () => {
    child.kill("SIGKILL");
    await end;
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const first = await new Promise<string>((resolve, reject) => {
    lines.once("line", resolve);
    end.then((code) => reject(new Error(`serve ended with ${code}: ${stderr}`)), reject);
  });
  const { url } = JSON.parse(first) as { url: string };
  return {
    url,
    child,
    stderr: () => stderr,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return end;
    },
  };
}

function start(args: readonly string[], env: Environment): ChildProcess {
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, [script, ...args], {
    env: { PATH, HOME, NO_COLOR: "1", LOG_LEVEL: "warn", ...env },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function exited(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code));
  });
}
