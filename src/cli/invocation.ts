import type { ParentChannel } from "../service/worker-channel.ts";
import type { Streams } from "./output.ts";
import type { SettingsFile } from "./settings-file.ts";

/** What bin/ hands in: the process, without anybody below touching it. */
export interface Invocation extends Streams {
  readonly argv: readonly string[];
  /** The file that some of the settings in `env` are from. */
  readonly settingsFile: SettingsFile | undefined;
  /** Opened only where somebody is asked. */
  readonly stdin: () => NodeJS.ReadStream;
  /** Aborted when the process is asked to stop (Ctrl-C, SIGTERM, a parent that is gone). */
  readonly stopping: AbortSignal;
  /** The node and the script to run for another balancectl. */
  readonly nodePath: string;
  readonly script: string;
  /** To the process that started this one, where it opened a channel. */
  readonly parent: ParentChannel | undefined;
}
