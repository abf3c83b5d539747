import { Argument } from "commander";
import type { DefineCommand } from "../command.ts";

export type MigrateAction = "up" | "down" | "status";

export interface MigrateFlags {
  /** For down: revert down to and including this name; "0" reverts everything; else the latest. */
  readonly to?: string;
  /** For down: nobody is asked. */
  readonly yes?: boolean;
  /** For up: a role that a server is to have, and nothing more. */
  readonly grant?: string;
  /** For up: a role of an application that calls the functions of docs/sql.md. */
  readonly grantApp?: string;
}

export const defineMigrate: DefineCommand = (program, add, context) => {
  const migrate = add(
    program,
    "migrate",
    "Bring the database schema up to date (up), revert it (down), or show it (status).",
    ["migrate", "migrate status --json", "migrate down --to 0004-apply-operations --yes"],
  )
    .summary("Bring the schema up to date, revert or show it.")
    .addArgument(
      new Argument("[action]", "what to do").choices(["up", "down", "status"]).default("up"),
    )
    .option(
      "--to <name>",
      "down: revert down to and including this one; 0 reverts all, and every balance is gone",
    )
    .option(
      "--grant <role>",
      "up: then let this role serve, and no more; made when it is not there",
    )
    .option("--grant-app <role>", "up: then let this role call the SQL functions, and no more")
    .option("--yes", "down: do not ask for the name of the database");
  migrate.action(async (action, flags) => {
    for (const [flag, goes] of [
      ["to", "down"],
      ["yes", "down"],
      ["grant", "up"],
      ["grantApp", "up"],
    ] as const) {
      if (flags[flag] !== undefined && action !== goes) {
        const name = flag.replace("A", "-a");
        migrate.error(`error: --${name} goes with \`balancectl migrate ${goes}\``);
      }
    }
    context.setExitCode(
      await (await import("../actions/migrate.ts")).migrate(context, action, flags),
    );
  });
};
