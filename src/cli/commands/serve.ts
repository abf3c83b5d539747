import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface ServeFlags {
  readonly host?: string;
  readonly port?: number;
  readonly workers: number;
  /** Seconds. */
  readonly wait: number;
  readonly allowAnonymous?: boolean;
  /** False for --no-migrate. */
  readonly migrate: boolean;
}

export const defineServe: DefineCommand = (program, add, context) => {
  add(program, "serve", "Serve the HTTP API until Ctrl-C.", [
    "serve",
    "serve --port 8080 --host 0.0.0.0",
    "serve --workers 4",
  ])
    .option("--port <port>", "port to listen on; 0 picks a free one (PORT, 3000)", is.port)
    .option("--host <host>", "address to listen on (HOST, 127.0.0.1)")
    .option("--workers <count>", "processes that share the port", is.workerCount, 1)
    .option(
      "--wait <seconds>",
      "how long to wait for a database that is not there yet; 0: not at all",
      is.waitSeconds,
      60,
    )
    .option("--allow-anonymous", "let everybody in who reaches it, also without a token")
    .option("--no-migrate", "do not bring the schema up to date; refuse to serve an older one")
    .action(async (flags) => (await import("../actions/serve.ts")).serve(context, flags));
};
