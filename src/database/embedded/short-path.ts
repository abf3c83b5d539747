/**
 * A folder by a name that is short enough for a socket in it, and that a URL can say. Where its own is not, a link in
 * a folder of the temporary ones that this user alone can enter. It is this process's: another makes one of its own.
 */
import { lutimesSync, mkdtempSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** 104 bytes on macOS, 108 on Linux, with the NUL at the end. */
const folderBytesMax = 104 - "/.s.PGSQL.65535".length - 1;

/** Whoever tidies up temporary folders takes what nobody has used for days. */
const refreshMs = 60 * 60 * 1000;

export interface ShortPaths {
  /** The same for the same folder, each time. */
  of(folder: string): string;
  /** Removes the links, if there are any. */
  release(): void;
}

export function createShortPaths(): ShortPaths {
  const links = new Map<string, ReturnType<typeof linkTo>>();
  return {
    of: (folder) => {
      // In a URL a comma separates hosts.
      if (Buffer.byteLength(folder) <= folderBytesMax && !folder.includes(",")) return folder;
      const link = links.get(folder) ?? linkTo(folder);
      links.set(folder, link);
      return link.path;
    },
    release: () => {
      for (const link of links.values()) link.remove();
      links.clear();
    },
  };
}

function linkTo(folder: string): { path: string; remove: () => void } {
  const made = mkdtempSync(join(shortTemporaryFolder(), "balancectl-"));
  const path = join(made, "s");
  symlinkSync(folder, path);
  const refresh = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(made, now, now);
      lutimesSync(path, now, now);
    } catch {
      // Gone, or not for us to change: connecting will say so.
    }
  }, refreshMs).unref();
  return {
    path,
    remove: () => {
      clearInterval(refresh);
      rmSync(made, { recursive: true, force: true });
    },
  };
}

function shortTemporaryFolder(): string {
  const folder = tmpdir();
  return folder.length <= folderBytesMax - "/balancectl-XXXXXX/s".length ? folder : "/tmp";
}
