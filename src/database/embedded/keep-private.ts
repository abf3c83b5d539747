/** The cluster, its password and its log are for their user alone: held at each start, whatever was done meanwhile. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { folderMode } from "./modes.ts";
import type { Place } from "./place.ts";

/** Takes from others what they may do with the cluster, its password and its log, and says so. */
export async function keepPrivate(place: Place, onProgress: (line: string) => void): Promise<void> {
  // Windows has no such modes, and opens no folders.
  if (process.platform === "win32") return;
  const { folder, data, passfile, log, user } = place;
  const wanted: [path: string, mode: number][] = [
    [folder, folderMode(user !== undefined)],
    [data, 0o700],
    [passfile, 0o600],
    [log, 0o600],
  ];
  for (const [path, mode] of wanted) {
    const file = await openUnfollowed(path);
    if (file === undefined) continue;
    try {
      const now = (await file.stat()).mode & 0o777;
      if (now === mode) continue;
      await file.chmod(mode);
      const octal = (one: number) => one.toString(8).padStart(4, "0");
      onProgress(
        `Closed ${path} to other users: its mode was ${octal(now)}, and is ${octal(mode)}`,
      );
    } finally {
      await file.close();
    }
  }
}

/** Not by path: in PostgreSQL's folder its user could put a link where a file was. */
async function openUnfollowed(path: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP") return undefined;
    throw error;
  }
}
