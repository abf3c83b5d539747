import { readFile, stat } from "node:fs/promises";
import { BalancectlError } from "../errors.ts";

/**
 * The token for a server: of a file that nobody else may read, or of the environment. Never of an argument,
 * which every user of the machine sees in the list of processes.
 * @param path of the file, when a flag names one; else BALANCECTL_TOKEN_FILE may
 * @returns undefined when there is none
 * @throws BalancectlError INVALID_REQUEST, CONFIG_INVALID
 */
export async function readAccessToken(
  env: Readonly<Record<string, string | undefined>>,
  path: string | undefined,
): Promise<string | undefined> {
  const { BALANCECTL_TOKEN: token, BALANCECTL_TOKEN_FILE: file } = env;
  if (path === undefined && token && file) {
    throw new BalancectlError(
      "CONFIG_INVALID",
      "BALANCECTL_TOKEN and BALANCECTL_TOKEN_FILE are both set, and only one can be meant",
    );
  }
  if (path !== undefined) return await tokenIn(path, "--token-file", "INVALID_REQUEST");
  if (file) return await tokenIn(file, "BALANCECTL_TOKEN_FILE", "CONFIG_INVALID");
  return token ? checked(token, "BALANCECTL_TOKEN", "CONFIG_INVALID") : undefined;
}

type Code = "INVALID_REQUEST" | "CONFIG_INVALID";

async function tokenIn(path: string, name: string, code: Code): Promise<string> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0 && process.platform !== "win32") {
      const rights = (mode & 0o777).toString(8);
      throw new Error(`others may read or write it (mode ${rights}): chmod 600 ${path}`);
    }
    return checked((await readFile(path, "utf8")).trim(), name, code);
  } catch (error) {
    if (error instanceof BalancectlError) throw error;
    throw new BalancectlError(code, `${name} ${path}: ${(error as Error).message}`);
  }
}

/** What a header can carry. It is not shown: an error is read by others than the one who made it. */
function checked(token: string, name: string, code: Code): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const rule = token === "" ? "is empty" : "must be visible ASCII characters without spaces";
  throw new BalancectlError(code, `${name} ${rule}`);
}
