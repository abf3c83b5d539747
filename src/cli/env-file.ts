/** Settings out of a file of the working directory, which may be anybody's: a folder that was unpacked, or /tmp. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { parseEnv } from "node:util";
import { isSettingName } from "../setting-names.ts";

export interface EnvFile {
  readonly settings: Readonly<Record<string, string>>;
  /** PostgreSQL's own names, which are believed from the environment alone. */
  readonly ignored: readonly string[];
}

const bytesMax = 1_000_000;

const none: EnvFile = { settings: {}, ignored: [] };

/**
 * Our settings in a file, and nothing else that it says: NODE_OPTIONS, LD_PRELOAD and their like run code. Without
 * a file, or with a folder of that name (Python's), there are none.
 * @param uid who runs this; undefined where files have no owners
 * @throws when it is no file of this user or of root, cannot be read, or is no text in UTF-8
 */
export function readEnvFile(path: string, uid = process.getuid?.()): EnvFile {
  const bytes = readOwn(path, uid);
  if (bytes === undefined) return none;
  // TextDecoder takes the mark at the beginning away, which some editors put there.
  const all = Object.entries(parseEnv(decode(bytes))) as [string, string][];
  return {
    settings: Object.fromEntries(all.filter(([name]) => isSettingName(name))),
    ignored: all
      .map(([name]) => name)
      .filter((name) => name.startsWith("PG"))
      .sort(),
  };
}

function readOwn(path: string, uid: number | undefined): Buffer | undefined {
  let file: number;
  try {
    // Without waiting: opening a pipe would last until somebody writes into it.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EISDIR") return undefined;
    if (code === "ENXIO") throw new Error(notRegular);
    throw error;
  }
  try {
    const stats = fstatSync(file);
    if (stats.isDirectory()) return undefined;
    if (!stats.isFile()) throw new Error(notRegular);
    if (uid !== undefined) requireOwn(stats, statSync(dirname(path)), uid);
    if (stats.size > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

const notRegular = "it is not a regular file";

/** Whoever may put files into root's way must not say what root does; in a folder of theirs they may rename any. */
function requireOwn(file: Stats, folder: Stats, uid: number): void {
  const allowed = [uid, 0];
  if (!allowed.includes(file.uid)) throw notOurs("it", file.uid);
  if (uid === 0 && folder.uid !== 0) throw notOurs("its folder", folder.uid);
}

function notOurs(what: string, owner: number): Error {
  return new Error(
    `${what} belongs to another user (id ${owner}), who would decide what is done here; run balancectl in ` +
      "another folder, and give it settings in its environment",
  );
}

function decode(bytes: Buffer): string {
  const isText = !bytes.includes(0);
  try {
    if (isText) return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Said below.
  }
  throw new Error("it is not UTF-8 (saved as UTF-16 perhaps); save it as UTF-8");
}
