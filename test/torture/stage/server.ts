/** A `balancectl serve` that is killed and started again on the same port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort } from "../../support/database/listening.ts";
import { pause } from "./connection.ts";

export interface Server {
  readonly url: string;
  start(): Promise<void>;
  /** Sends it to the process; resolves with what it ended with: a code, or the signal's name. */
  end(signal: NodeJS.Signals): Promise<number | string>;
  /** Running, and not about to end because of us. */
  isUp(): boolean;
  readonly pid: number | undefined;
  /** Its stderr is read no further, until `listen`. */
  turnAway(): void;
  listen(): void;
  /** The last line that it said. */
  output(): string;
}

export interface ServerOptions {
  readonly databaseUrl: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** It ended, and nobody had asked for it. */
  readonly onDeath: (text: string) => void;
}

/** The compiled program, beside the compiled harness. */
export const script = fileURLToPath(new URL("../../../bin/balancectl.js", import.meta.url));

/** It has to become ready in this time, and to end in this time after SIGTERM. */
const readyMsMax = 60_000;
const endMsMax = 45_000;

export async function createServer(options: ServerOptions): Promise<Server> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  let ending = false;
  let output = "";

  const isRunning = () =>
    child !== undefined && child.exitCode === null && child.signalCode === null;

  return {
    url: `http://127.0.0.1:${port}`,
    start: async () => {
      if (isRunning()) return;
      ending = false;
      const started = launch(options, port);
      child = started;
      // With --json what it has to say at its end is on stdout.
      for (const stream of [started.stdout, started.stderr]) {
        stream?.setEncoding("utf8").on("data", (text: string) => {
          output = (output + text).slice(-20_000);
        });
      }
      let ready = false;
      // Later than "exit": all that it said has been read.
      started.once("close", (code, signal) => {
        if (ready && !ending && child === started) {
          options.onDeath(`server ended by itself: ${code ?? signal} ${lastLine(output)}`);
        }
      });
      await hello(started, () => output);
      ready = true;
    },
    end: async (signal) => {
      if (!child || !isRunning()) return "was not running";
      ending = true;
      const ended = once(child, "exit");
      child.kill(signal);
      const late = setTimeout(() => child?.kill("SIGKILL"), endMsMax);
      const [code, by] = await ended;
      clearTimeout(late);
      return code ?? by;
    },
    isUp: () => isRunning() && !ending,
    get pid() {
      return child?.pid;
    },
    turnAway: () => {
      child?.stderr?.pause();
    },
    listen: () => {
      child?.stderr?.resume();
    },
    output: () => lastLine(output),
  };
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").slice(0, 300);
}

function launch({ databaseUrl, args, env }: ServerOptions, port: number): ChildProcess {
  const { PATH = "", HOME = "" } = process.env;
  return spawn(process.execPath, [script, "serve", "--json", "--port", String(port), ...args], {
    env: { PATH, HOME, NO_COLOR: "1", LOG_LEVEL: "error", DATABASE_URL: databaseUrl, ...env },
    // A .env of whoever runs this must not reach it.
    cwd: "/",
    // A Ctrl-C at the terminal reaches the harness alone, which then ends its servers.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Until it has said where it listens; what it says instead is why it does not. */
async function hello(child: ChildProcess, output: () => string): Promise<void> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const said = once(lines, "line").then(([line]) => {
    if (!("url" in JSON.parse(line))) throw new Error(`serve does not start: ${line}`);
  });
  const end = once(child, "close").then(([code]) => {
    throw new Error(`serve ended with ${code}: ${output()}`);
  });
  const late = pause(readyMsMax).then(() => {
    throw new Error("serve is not ready");
  });
  // Whichever is not the first is nobody's concern any more.
  for (const one of [said, end, late]) one.catch(() => {});
  await Promise.race([said, end, late]);
}
