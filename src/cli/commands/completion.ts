import { Argument } from "commander";
import type { DefineCommand } from "../command.ts";

export type Shell = "bash" | "zsh" | "fish";

export const defineCompletion: DefineCommand = (program, add, context) => {
  add(
    program,
    "completion",
    "Print what makes a shell complete commands and flags.",
    [
      "completion bash > /etc/bash_completion.d/balancectl",
      "completion zsh > ~/.zfunc/_balancectl",
      "completion fish > ~/.config/fish/completions/balancectl.fish",
    ],
    "one JSON document on stdout: the script as a text",
  )
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .action(async (shell) => {
      const { completion } = await import("../actions/completion.ts");
      completion(context, program, shell);
    });
};
