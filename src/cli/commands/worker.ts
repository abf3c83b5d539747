import type { DefineCommand } from "../command.ts";

/** What `serve --workers` starts: not for people. */
export const defineWorker: DefineCommand = (program, _add, context) => {
  program
    .command("worker", { hidden: true })
    .description("One of the processes of serve --workers, which starts it.")
    .action(async () => (await import("../actions/worker.ts")).worker(context));
};
