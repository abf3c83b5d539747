/** A pseudo-terminal, by util-linux's script(1). */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { afterFile } from "../cleanup.ts";

export const hasTerminal =
  spawnSync("script", ["--version"]).stdout?.includes("util-linux") ?? false;

export interface Terminal {
  /** Everything that was written to it. */
  seen(): string;
  /**
   * Resolves when the text is among it, from this place on, with the place behind it; rejects when
   * the command has ended without it.
   */
  shows(text: string, from?: number): Promise<number>;
  type(text: string): void;
  readonly exitCode: Promise<number | null>;
}

/** Runs a line of sh on a terminal of its own, at first without columns. Ended after the file. */
export function openTerminal(line: string, env: Readonly<Record<string, string>>): Terminal {
  const child = spawn("script", ["-qec", line, "/dev/null"], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TERM: "xterm", ...env },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let seen = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    seen += text;
  });
  const ended = once(child, "close");
  afterFile(() => child.kill("SIGKILL"));
  return {
    seen: () => seen,
    shows: async (text, from = 0) => {
      const place = () => seen.indexOf(text, from);
      while (place() < 0) {
        const next = await Promise.race([once(child.stdout, "data"), ended.then(() => null)]);
        if (next === null && place() < 0) throw new Error(`it never showed ${text}: ${seen}`);
      }
      return place() + text.length;
    },
    type: (text) => child.stdin.write(text),
    exitCode: ended.then(([code]) => code),
  };
}
