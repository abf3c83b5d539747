import type { Command } from "commander";
import type { Context } from "./context.ts";

/** Makes a command with the things that all have: --json, and examples at the end of its help. */
export type AddCommand = (
  parent: Command,
  name: string,
  description: string,
  examples: readonly string[],
  json?: string,
) => Command;

/** Says what one command, or a family of them, is called and takes. What it does is loaded when it runs. */
export type DefineCommand = (program: Command, add: AddCommand, context: Context) => void;
