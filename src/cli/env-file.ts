/** Settings out of a file of the working directory. */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { isSettingName } from "../setting-names.ts";

/**
 * The settings in a file: ours, and PostgreSQL's own. What else it says is for another program of this
 * folder. Without a file, or with a folder of that name (Python's), there are none.
 * @throws when it cannot be read or is no text in UTF-8
 */
export function readEnvFile(path: string): Record<string, string> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EISDIR") return {};
    throw error;
  }
  // TextDecoder takes the mark at the beginning away, which some editors put there.
  const text = decode(bytes);
  const all = Object.entries(parseEnv(text)) as [string, string][];
  return Object.fromEntries(all.filter(([name]) => isSettingName(name) || name.startsWith("PG")));
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
