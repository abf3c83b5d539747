/** The built program as a process whose stderr is followed: for what it says before it is ready. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterFile } from "../cleanup.ts";
import { type Environment, script } from "./program.ts";

export interface Spoken {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when the text was said; rejects when the program ended without it. */
  says(text: string, where?: "stdout" | "stderr"): Promise<void>;
  readonly exitCode: Promise<number | null>;
}

/** Ended after the file. */
export function speak(args: readonly string[], env: Environment): Spoken {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH, HOME, NO_COLOR: "1", LOG_LEVEL: "warn", ...env },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const where of ["stdout", "stderr"] as const) {
    child[where].setEncoding("utf8").on("data", (text) => {
      said[where] += text;
    });
  }
  const ended = once(child, "close");
  afterFile(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    says: async (text, where = "stderr") => {
      while (!said[where].includes(text)) {
        const next = await Promise.race([once(child[where], "data"), ended.then(() => null)]);
        if (next === null && !said[where].includes(text)) {
          throw new Error(`it ended without saying ${text}: ${said.stderr}`);
        }
      }
    },
    exitCode: ended.then(([code]) => code),
  };
}
