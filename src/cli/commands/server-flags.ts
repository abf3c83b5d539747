import type { Command } from "commander";

/** The flags of commands that work on the database, or on a server instead. */
export interface ServerFlags {
  readonly url?: string;
  readonly tokenFile?: string;
}

export function withServerFlags(command: Command): Command {
  return command
    .option("--url <url>", "ask this server instead of the database")
    .option("--token-file <path>", "its token, in a file of mode 600 (or in BALANCECTL_TOKEN)");
}
