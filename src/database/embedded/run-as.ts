/** Programs of PostgreSQL as child processes, run as the user that they need. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";

export interface OsUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** Beyond this a program's output is not kept: only its last lines are ever shown. */
const outputBytesMax = 64 * 1024;

/**
 * Runs a program to its end and keeps what it printed. `code` is null if a signal ended it.
 * @param fd an open file that it gets as number 3
 */
export function runAs(
  user: OsUser | undefined,
  file: string,
  args: readonly string[],
  cwd: string,
  fd?: number,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(file, args, {
      ...childOptions(user, cwd),
      stdio: ["ignore", "pipe", "pipe", ...(fd === undefined ? [] : [fd])],
    }) as ChildProcessByStdio<null, Readable, Readable>;
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk).slice(-outputBytesMax);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", reject);
    child.once("close", (code) => resolvePromise({ code, output }));
  });
}

/**
 * What every child is started with. Detached: in a session of its own, where a Ctrl-C at the
 * terminal does not reach it. The folder is always given, since the caller's own may be closed to
 * the user. The environment is ours alone, as PG* variables and locales would change what is made.
 */
export function childOptions(user: OsUser | undefined, cwd: string) {
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const env: NodeJS.ProcessEnv = { LC_ALL: "C", TZ: "UTC" };
  if (process.platform !== "win32") env["PATH"] = path;
  // `nobody` is -2 on macOS: 4294967294 to stat, and spawn takes signed numbers.
  const ids = user ? { uid: user.uid | 0, gid: user.gid | 0 } : {};
  return { ...ids, cwd, env, detached: true, windowsHide: true };
}
