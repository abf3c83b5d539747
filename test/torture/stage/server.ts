/** A `balancectl serve` that is killed and started again on the same port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort } from "./cluster.ts";
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
  /** The end of what it said on stderr. */
  stderr(): string;
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
  let stderr = "";

  const isRunning = () =>
    child !== undefined && child.exitCode === null && child.signalCode === null;

  return {
    url: `http://127.0.0.1:${port}`,
    start: async () => {
      if (isRunning()) return;
      ending = false;
      const started = launch(options, port);
      child = started;
      started.stderr?.setEncoding("utf8").on("data", (text: string) => {
        stderr = (stderr + text).slice(-20_000);
      });
      let ready = false;
      started.once("exit", (code, signal) => {
        if (ready && !ending && child === started) {
          options.onDeath(`server ended by itself: ${code ?? signal} ${stderr.slice(-500)}`);
        }
      });
      await firstLine(started, () => stderr);
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
    stderr: () => stderr,
  };
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

async function firstLine(child: ChildProcess, stderr: () => string): Promise<void> {
  const line = once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), "line");
  const end = once(child, "exit").then(([code]) => {
    throw new Error(`serve ended with ${code}: ${stderr()}`);
  });
  const late = pause(readyMsMax).then(() => {
    throw new Error("serve is not ready");
  });
  await Promise.race([line, end, late]);
  // Whichever was not first is nobody's concern any more.
  end.catch(() => {});
  late.catch(() => {});
}
