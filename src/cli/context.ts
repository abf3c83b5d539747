import type { Config } from "../config.ts";
import type { Output, Streams } from "./output.ts";

/** What bin/ hands in: the process, without anybody below touching it. */
export interface Process extends Streams {
  readonly argv: readonly string[];
  /** Opened only where somebody is asked. */
  readonly stdin: () => NodeJS.ReadStream;
  /** Aborted when the process is asked to stop (Ctrl-C, SIGTERM, a parent that is gone). */
  readonly stopping: AbortSignal;
  /** The node and the script to run for another balancectl. */
  readonly nodePath: string;
  readonly script: string;
}

/** What a command works with. */
export interface Context extends Process {
  readonly output: Output;
  /** Checked settings; values from flags stand in for variables. */
  readonly loadConfig: (flags?: Readonly<Record<string, string | undefined>>) => Promise<Config>;
}
