/** Completion: what bash offers for words that are typed, and that the scripts know every command. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { failure, runHere } from "../support/server/command-line.ts";

const run = promisify(execFile);
const { stdout: script } = await runHere(["completion", "bash"]);

/** What is offered for the last of the words. */
async function offered(...words: string[]): Promise<string[]> {
  const typed = ["balancectl", ...words].map((word) => `'${word}'`).join(" ");
  const asked = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _balancectl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run("bash", ["-c", `${script}\n${asked}`], { cwd: "/usr" });
  return stdout.trimEnd().split("\n");
}

test.each([
  [["ad"], ["adjust"]],
  [
    ["users", ""],
    ["create", "list", "show", "--help"],
  ],
  [["users", "l"], ["list"]],
  [["--json", "hist"], ["history"]],
  [["history", "1", "--ord"], ["--order"]],
  [
    ["history", "1", "--order", ""],
    ["desc", "asc"],
  ],
  [["migrate", "d"], ["down"]],
  [["migrate", "--t"], ["--to"]],
  [["adjust", "1", "-2", "--token-file", "bi"], ["bin"]],
  [["adjust", "1", "-2", "--reference", ""], [""]],
  [["completion", "z"], ["zsh"]],
])("bash: balancectl %j", async (words, expected) => {
  expect(await offered(...words)).toEqual(expected);
});

test("every command is offered, and worker is not", async () => {
  const { stdout } = await runHere(["--help"]);
  const [, list = ""] = /\nCommands:\n((?: {2}.*\n)+)/.exec(stdout) ?? [];
  const commands = [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = ""]) => name);
  expect(commands).toContain("completion");
  expect(await offered("")).toEqual([...commands, "--version", "--help"]);
  for (const shell of ["zsh", "fish"]) {
    const { stdout: other } = await runHere(["completion", shell]);
    for (const name of commands) expect(other).toMatch(new RegExp(`\\b${name}\\b`));
    expect(other).not.toMatch(/\bworker\b/);
  }
});

test("with --json it is a text in a document; another shell is wrong usage", async () => {
  const { stdout } = await runHere(["completion", "bash", "--json"]);
  expect(JSON.parse(stdout)).toEqual({ shell: "bash", script: script.trimEnd() });
  const { code, stdout: none } = await runHere(["completion", "tcsh", "--json"]);
  const said =
    "command-argument value 'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish.";
  expect([code, none]).toEqual([2, failure("INVALID_REQUEST", said).stdout]);
});
