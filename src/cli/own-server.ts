/** A `serve` of our own as a child process: a load run starts it when no server is there. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { childEnvironment } from "../child-environment.ts";
import { BalancectlError } from "../errors.ts";
import type { Invocation } from "./invocation.ts";

export interface OwnServer {
  readonly url: string;
  /** Which database it serves, for people. */
  readonly database: string;
  /** What it lets in, and nobody else has. */
  readonly token: string;
  /** Asks it to stop and waits until it has. */
  stop(): Promise<void>;
}

/** @throws BalancectlError SERVER_FAILED; the child has said why on stderr */
export async function startOwnServer(
  { nodePath, script, env }: Invocation,
  signal: AbortSignal,
): Promise<OwnServer> {
  const token = randomBytes(32).toString("hex");
  // Beside those that it is told of anyway: with one of the settings it closes its own door, and no other's.
  const tokens = [env["BALANCECTL_TOKENS"], `stress:admin:${token}`].filter(Boolean).join(",");
  const args = ["serve", "--json", "--host", "127.0.0.1", "--port", "0", "--wait", "0"];
  const child = spawn(nodePath, [script, ...args], {
    env: { LOG_LEVEL: "warn", ...childEnvironment(env), BALANCECTL_TOKENS: tokens },
    // A group of its own: Ctrl-C at the terminal is for us, who stop it when the report is made.
    // The channel tells it when we are gone without having said so.
    detached: true,
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  const ready = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
  });
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  try {
    signal.throwIfAborted();
    const line = await Promise.race([ready, ended, aborted]);
    const started = typeof line === "string" ? JSON.parse(line) : undefined;
    if (!started?.url) {
      const message = started?.error?.message ?? `it ended with exit code ${line}`;
      throw new BalancectlError("SERVER_FAILED", `The server could not start: ${message}`);
    }
    return { url: started.url, database: started.database, token, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
