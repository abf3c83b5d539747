import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface ConfigFlags {
  readonly host?: string;
  readonly port?: number;
}

export const defineConfig: DefineCommand = (program, add, context) => {
  add(program, "config", "Show each setting, its value, and where it is from.", [
    "config",
    "config --json",
    "config --port 8080",
  ])
    .option("--host <host>", "as serve would take it")
    .option("--port <port>", "as serve would take it", is.port)
    .action(async (flags) => {
      context.setExitCode(await (await import("../actions/config.ts")).config(context, flags));
    });
};
