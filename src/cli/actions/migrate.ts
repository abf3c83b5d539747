import { createInterface } from "node:readline";
import { account } from "../../account.ts";
import { remedyOf } from "../../database/alterations.ts";
import { ensureDatabase } from "../../database/ensure-database.ts";
import { type GrantedRole, grantRole } from "../../database/grants.ts";
import type { Holdings } from "../../database/migrate-down.ts";
import {
  lookDown,
  migrateDown,
  migrateUp,
  type SchemaStatus,
  schemaStatus,
} from "../../database/migrator.ts";
import { BalancectlError } from "../../errors.ts";
import { openDatabase } from "../../service/open-database.ts";
import type { MigrateAction, MigrateFlags } from "../commands/migrate.ts";
import type { Context } from "../context.ts";
import { counted, type Output, table } from "../output.ts";

/** @returns the exit code: 1 when the status is that something is not as the migrations make it, else 0 */
export async function migrate(
  context: Context,
  action: MigrateAction,
  flags: MigrateFlags,
): Promise<number> {
  const { output, stopping: signal } = context;
  const config = await context.loadConfig();
  const progress = output.progress("Connecting to the database");
  try {
    const opened = await openDatabase(config, signal, progress.update);
    try {
      // The target comes first, so that nobody reads success against the wrong database.
      progress.end();
      output.note(opened.label);
      const { url, label } = opened;
      if (action === "status") {
        const { schema, ...status } = await schemaStatus(url);
        for (const one of status.altered) output.note(remedyOf(one, schema));
        output.result({ database: label, ...status }, () => statusText(status));
        return status.altered.length === 0 ? 0 : 1;
      }
      if (action === "up") {
        const created = await ensureDatabase(url);
        const { done } = await migrateUp(url, { signal, by: account() });
        if (created) output.note("Created the database");
        const granted = await grant(url, flags, output);
        const roles = granted.length > 0 && { granted };
        output.result({ database: label, applied: done, ...roles }, () =>
          [doneText("Applied", done), ...granted.map(grantedText)].join("\n"),
        );
      } else {
        const to = flags.to === "0" ? 0 : flags.to;
        await confirm(context, await lookDown(url, to), flags.yes ?? false);
        const { done } = await migrateDown(url, to, { signal, by: account() });
        output.result({ database: label, reverted: done }, () => doneText("Reverted", done));
      }
      return 0;
    } finally {
      await opened.close();
    }
  } finally {
    progress.end();
  }
}

async function grant(
  url: string,
  flags: MigrateFlags,
  output: Output,
): Promise<readonly GrantedRole[]> {
  const wanted: GrantedRole[] = [];
  if (flags.grant !== undefined) wanted.push({ role: flags.grant, purpose: "server" });
  if (flags.grantApp !== undefined) wanted.push({ role: flags.grantApp, purpose: "application" });
  for (const { role, purpose } of wanted) {
    const isNew = await grantRole(url, role, account(), purpose);
    if (isNew)
      output.note(`Made the role ${role}; it has no password yet: ALTER ROLE ... PASSWORD`);
  }
  return wanted;
}

function grantedText({ role, purpose }: GrantedRole): string {
  return `The role ${role} may ${purpose === "server" ? "serve" : "call the SQL functions"}, and no more`;
}

/** @throws BalancectlError INVALID_REQUEST unless a person or a flag says that all this may go */
async function confirm(
  context: Context,
  { names, holdings }: { names: readonly string[]; holdings: Holdings },
  yes: boolean,
): Promise<void> {
  const { output, stdin, stderr, stopping } = context;
  if (names.length === 0) return;
  const loss = lossText(names, holdings);
  if (yes) {
    output.note(loss);
    return;
  }
  const input = output.json || !stderr.isTTY ? undefined : stdin();
  if (!input?.isTTY) {
    throw new BalancectlError("INVALID_REQUEST", `${loss}\nRepeat it with --yes if it may go`);
  }
  stderr.write(`${loss}\nType the name of the database to go on: `);
  if ((await readLine(input, stopping)) === holdings.database) return;
  const { database } = holdings;
  throw new BalancectlError("INVALID_REQUEST", `That is not ${database}; nothing was reverted`);
}

function lossText(names: readonly string[], { database, users, entries, total }: Holdings): string {
  const what = `${counted(users, "user")}, ${counted(entries, "entry", "entries")}`;
  return (
    `Reverting ${names.join(", ")} takes what they hold out of database ${database}.\n` +
    `There are ${what}, and balances of ${total.toLocaleString("en-US")} in all`
  );
}

/** A line that is typed; undefined when the input ends without one. */
async function readLine(
  stdin: NodeJS.ReadStream,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Not as a terminal: the system edits the line, and Ctrl-C stays a signal.
  const lines = createInterface({ input: stdin, terminal: false, signal });
  for await (const line of lines) return line.trim();
  signal.throwIfAborted();
  return undefined;
}

function doneText(verb: string, names: string[]): string {
  if (names.length === 0) return verb === "Applied" ? "Up to date" : "Nothing to revert";
  return names.map((name) => `${verb} ${name}`).join("\n");
}

function statusText({ applied, pending, unknown, altered }: Omit<SchemaStatus, "schema">): string {
  const state = (name: string) => {
    if (unknown.includes(name)) return "applied, unknown to this version of balancectl";
    const isAltered = altered.some((one) => one.what === "migration" && one.name === name);
    return isAltered ? "applied, from another text" : "applied";
  };
  const rows = [
    ...applied.filter((name) => !unknown.includes(name)).map((name) => [name, state(name)]),
    ...unknown.map((name) => [name, state(name)]),
    ...pending.map((name) => [name, "pending"]),
    ...altered
      .filter(({ what }) => what === "function")
      .map(({ name, migration, found }) => [
        `${name}()`,
        found === "another body"
          ? `another body than ${migration} gives it`
          : `${found}, where ${migration} makes one`,
      ]),
  ];
  return table(rows);
}
