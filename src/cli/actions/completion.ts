import type { Command, Option } from "commander";
import type { Shell } from "../commands/completion.ts";
import type { Context } from "../context.ts";

/** Prints a script for a shell. Made of what the commands say of themselves, so that none is forgotten. */
export function completion({ output }: Context, program: Command, shell: Shell): void {
  const nodes = nodesOf(program, []);
  const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](nodes);
  output.result({ shell, script }, () => script);
}

interface Node {
  /** The words that lead to it: "", "users", "users list". */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  /** What its first argument may be, where that is a choice. */
  readonly choices: readonly string[];
  readonly options: readonly Option[];
}

function nodesOf(command: Command, words: readonly string[]): Node[] {
  const help = command.createHelp();
  const inner = help.visibleCommands(command);
  const node = {
    path: words.join(" "),
    commands: inner.map((one) => ({ name: one.name(), summary: help.subcommandDescription(one) })),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    options: help.visibleOptions(command),
  };
  return [node, ...inner.flatMap((one) => nodesOf(one, [...words, one.name()]))];
}

function flagsOf({ options }: Node): string[] {
  return options.flatMap(({ long }) => (long ? [long] : []));
}

/** What can stand where no flag's value is due. */
function wordsOf(node: Node): string {
  return [...node.commands.map(({ name }) => name), ...node.choices, ...flagsOf(node)].join(" ");
}

/** By a flag behind the words of its command: what its value may be, or "" for what nobody can know. */
function valuesOf(nodes: readonly Node[]): [pattern: string, values: string][] {
  return nodes.flatMap(({ path, options }) =>
    options
      .filter(({ long, required }) => long && required)
      .map(({ long, argChoices }): [string, string] => [
        `${path} ${long}`.trim(),
        argChoices?.join(" ") ?? (/-(file|dir)$/.test(long ?? "") ? "FILES" : ""),
      ]),
  );
}

/** Shared by bash and zsh, which both read it: sets `choices` for the words before the one that is typed. */
function walk(nodes: readonly Node[]): string {
  const paths = nodes.map(({ path }) => path).filter((path) => path !== "");
  return `  local at="" next word
  for word in "\${before[@]}"; do
    next="$at $word"; next="\${next# }"
    case "$next" in
      ${paths.map((path) => `"${path}"`).join("|")}) at="$next" ;;
    esac
  done
  next="$at $previous"
  case "\${next# }" in
${valuesOf(nodes)
  .map(([pattern, values]) => `    "${pattern}") choices="${values}"; return ;;`)
  .join("\n")}
  esac
  case "$at" in
${nodes.map((node) => `    "${node.path}") choices="${wordsOf(node)}" ;;`).join("\n")}
  esac`;
}

function bashScript(nodes: readonly Node[]): string {
  return `# bash completion for balancectl
_balancectl_choices() {
${walk(nodes)}
}
_balancectl() {
  local choices="" current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  _balancectl_choices
  if [ "$choices" = FILES ]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  fi
}
complete -F _balancectl balancectl`;
}

function zshScript(nodes: readonly Node[]): string {
  return `#compdef balancectl
_balancectl_choices() {
${walk(nodes)}
}
_balancectl() {
  local choices="" previous="\${words[CURRENT-1]}"
  local -a before
  before=("\${(@)words[2,CURRENT-1]}")
  _balancectl_choices
  if [ "$choices" = FILES ]; then
    _files
  else
    compadd -- \${=choices}
  fi
}
if [ "$funcstack[1]" = _balancectl ]; then
  _balancectl "$@"
else
  compdef _balancectl balancectl
fi`;
}

function fishScript(nodes: readonly Node[]): string {
  const lines = nodes.flatMap((node) => {
    const words = node.path.split(" ").filter(Boolean);
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const inner = node.commands.map(({ name }) => name);
    const none = inner.length > 0 ? [`not __fish_seen_subcommand_from ${inner.join(" ")}`] : [];
    const when = [...seen, ...none].join("; and ");
    const begin = `complete -c balancectl -n '${when || "true"}'`;
    return [
      ...node.commands.map(({ name, summary }) => `${begin} -f -a ${name} -d ${quoted(summary)}`),
      ...node.choices.map((choice) => `${begin} -f -a ${choice}`),
      ...node.options.flatMap(({ long, short, required, argChoices, description }) => {
        if (!long) return [];
        const name = `-l ${long.slice(2)}${short ? ` -s ${short.slice(1)}` : ""}`;
        const values = argChoices ? ` -f -a '${argChoices.join(" ")}'` : "";
        return [`${begin} ${name}${required ? " -r" : ""}${values} -d ${quoted(description)}`];
      }),
    ];
  });
  return ["# fish completion for balancectl", ...lines].join("\n");
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
