import type { DefineCommand } from "../command.ts";

export const defineDoctor: DefineCommand = (program, add, context) => {
  add(program, "doctor", "Look at what a ledger stands on, and say what to do.", [
    "doctor",
    "doctor --json",
  ]).action(async () => {
    context.setExitCode(await (await import("../actions/doctor.ts")).doctor(context));
  });
};
