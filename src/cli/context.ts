import type { Config } from "../config.ts";
import type { Invocation } from "./invocation.ts";
import type { Output } from "./output.ts";

/** What a command works with. */
export interface Context extends Invocation {
  readonly output: Output;
  /** For a command that is done and has found that not all is well. */
  readonly setExitCode: (code: number) => void;
  /** Checked settings; values from flags stand in for variables. */
  readonly loadConfig: (flags?: Readonly<Record<string, string | undefined>>) => Promise<Config>;
}
