import type { Command } from "commander";
import { type ServerFlags, withServerFlags } from "./server-flags.ts";

/** The flags that every command which changes a balance accepts, as commander gives them. */
export interface WriteFlags extends ServerFlags {
  readonly idempotencyKey?: string;
  readonly reference?: string;
  readonly metadata?: string;
}

export function withWriteFlags(command: Command): Command {
  return withServerFlags(command)
    .option("--idempotency-key <key>", "repeat safely: the same key never changes a balance twice")
    .option("--reference <text>", "kept on the journal entry, up to 255 characters")
    .option("--metadata <json>", "a JSON object kept on the journal entry");
}
