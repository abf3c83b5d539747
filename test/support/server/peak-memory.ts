/** The built program as a process whose memory is watched. Needs /proc, so Linux. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { script } from "./program.ts";

export interface Watched {
  readonly code: number | null;
  readonly seconds: number;
  /** The most that it had in memory at any time (VmHWM). */
  readonly peakMiB: number;
}

/**
 * Runs a command to its end.
 * @param onChunk gets stdout piece by piece; the program waits while what it returns is pending
 */
export async function runWatched(
  databaseUrl: string,
  args: readonly string[],
  onChunk: (chunk: Buffer) => void | Promise<void>,
): Promise<Watched> {
  const startedAt = performance.now();
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH, HOME, NO_COLOR: "1", DATABASE_URL: databaseUrl },
    cwd: "/",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  let peakMiB = 0;
  const look = async () => {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    const [, kiB] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kiB !== undefined) peakMiB = Math.round(Number(kiB) / 1_024);
  };
  // The kernel keeps the peak; only what is reached in the last moments could be missed.
  const timer = setInterval(look, 20);
  try {
    for await (const chunk of child.stdout) await onChunk(chunk);
    const code = await ended;
    return { code, seconds: (performance.now() - startedAt) / 1_000, peakMiB };
  } finally {
    clearInterval(timer);
  }
}

/** Counts lines as they come by. */
export function lineCounter(): { add: (chunk: Buffer) => void; lines: () => number } {
  let count = 0;
  const newline = "\n".charCodeAt(0);
  return {
    add: (chunk) => {
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) count++;
    },
    lines: () => count,
  };
}
