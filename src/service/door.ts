/** Who will be let in, before a server is started. */
import { readFile } from "node:fs/promises";
import { addressOf, refuseOpenDoor } from "../access/listening.ts";
import { isClosed } from "../access/token-store.ts";
import type { Config } from "../config.ts";
import { BalancectlError } from "../errors.ts";
import { parseSettingTokens, type SettingToken } from "../token.ts";

/**
 * @returns whether requests without a token will be answered
 * @throws BalancectlError SERVER_FAILED when they would be from other machines, and nobody has said so
 */
export async function lookAtDoor(config: Config, databaseUrl: string): Promise<boolean> {
  const address = await addressOf(config.host);
  const tokens = await settingTokens(config);
  const isOpen = config.allowAnonymous || (tokens.length === 0 && !(await isClosed(databaseUrl)));
  if (isOpen && !config.allowAnonymous) refuseOpenDoor(address);
  return isOpen;
}

/** @throws BalancectlError CONFIG_INVALID */
export async function settingTokens({
  tokens,
  tokensFile,
}: Pick<Config, "tokens" | "tokensFile">): Promise<readonly SettingToken[]> {
  if (tokensFile === undefined) return tokens;
  try {
    return [...tokens, ...parseSettingTokens(await readFile(tokensFile, "utf8"))];
  } catch (error) {
    const message = `BALANCECTL_TOKENS_FILE ${tokensFile} ${(error as Error).message}`;
    throw new BalancectlError("CONFIG_INVALID", message, { cause: error });
  }
}
