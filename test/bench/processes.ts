/**
 * The benchmark's child processes. Each leads a process group of its own, so that a Ctrl-C at the
 * terminal reaches the benchmark alone, which then ends them in order; and each server of ours
 * watches its channel to the benchmark, so that none outlives one that was killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process to its first line. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** The compiled program, and the folder of the compiled benchmark. */
export const balancectlScript = fileURLToPath(new URL("../../bin/balancectl.js", import.meta.url));

export function benchScript(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

const running = new Set<ChildProcess>();
let stopped = false;

/** A process that is asked to stop and does not is killed after this: it has to drain first. */
const stopMsMax = 15_000;

/**
 * Starts a server and waits for the first line on its stdout: JSON with its `url`.
 * @throws Error with what it said on stderr when it ends before that
 */
export async function startServer(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const startedAt = performance.now();
  const child = launch(process.execPath, args, env, true);
  const stderr = collect(child.stderr);
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`${args[0]} ended (${code}): ${stderr()}`)));
  });
  const readyMs = performance.now() - startedAt;
  const { url } = JSON.parse(line) as { url: string };
  return { url, pid: child.pid as number, readyMs, stop: () => end(child) };
}

/** Runs a program to its end. @returns what it printed. @throws Error when it fails */
export async function runProgram(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = launch(file, args, env, false);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode, signal) => resolve(exitCode ?? signal ?? "unknown"));
  });
  if (code !== 0) throw new Error(`${file} failed (${code}): ${stderr() || stdout()}`);
  return stdout();
}

/** Runs a script of the benchmark in a process of its own. @returns the JSON it printed */
export async function runScript<T>(path: string, parameters: object): Promise<T> {
  const args = [benchScript(path), JSON.stringify(parameters)];
  return JSON.parse(await runProgram(process.execPath, args)) as T;
}

/** Also keeps what an interrupted part of the benchmark was about to start from being started. */
export async function stopAllProcesses(): Promise<void> {
  stopped = true;
  await Promise.all([...running].map(end));
}

function launch(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  channel: boolean,
): ChildProcess {
  if (stopped) throw new Error("The benchmark is stopping");
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(file, args, {
    env: { PATH, HOME, NODE_ENV: "production", NO_COLOR: "1", LOG_LEVEL: "warn", ...env },
    // A .env of whoever runs this must not reach the servers that are measured.
    cwd: "/",
    detached: true,
    stdio: channel ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.once("close", () => running.delete(child));
  child.once("error", () => running.delete(child));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await closed;
  clearTimeout(late);
}

/** The end of what a stream says; it must be read, or the child would come to a stand. */
function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-100_000);
  });
  return () => text;
}
