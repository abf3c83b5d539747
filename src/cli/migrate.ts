import {
  ensureDatabase,
  migrateDown,
  migrateUp,
  type SchemaStatus,
  schemaStatus,
} from "../database/migrator.ts";
import type { Context } from "./context.ts";
import { openDatabase } from "./open-database.ts";
import { table } from "./output.ts";

export type MigrateAction = "up" | "down" | "status";

/**
 * @param to for down: revert down to and including this name; "0" reverts everything; undefined
 * reverts the latest only
 */
export async function migrate(context: Context, action: MigrateAction, to?: string): Promise<void> {
  const { output } = context;
  const config = await context.loadConfig();
  const progress = output.progress("Connecting to the database");
  try {
    const opened = await openDatabase(config, context.stopping, progress.update);
    try {
      // The target comes first, so that nobody reads success against the wrong database.
      progress.end();
      output.note(opened.label);
      const { url, label } = opened;
      if (action === "status") {
        const status = await schemaStatus(url);
        output.result({ database: label, ...status }, () => statusText(status));
      } else if (action === "up") {
        const created = await ensureDatabase(url);
        const { done } = await migrateUp(url);
        if (created) output.note("Created the database");
        output.result({ database: label, applied: done }, () => doneText("Applied", done));
      } else {
        const { done } = await migrateDown(url, to === "0" ? 0 : to);
        output.result({ database: label, reverted: done }, () => doneText("Reverted", done));
      }
    } finally {
      await opened.close();
    }
  } finally {
    progress.end();
  }
}

function doneText(verb: string, names: string[]): string {
  if (names.length === 0) return verb === "Applied" ? "Up to date" : "Nothing to revert";
  return names.map((name) => `${verb} ${name}`).join("\n");
}

function statusText({ applied, pending, unknown }: SchemaStatus): string {
  const rows = [
    ...applied.filter((name) => !unknown.includes(name)).map((name) => [name, "applied"]),
    ...unknown.map((name) => [name, "applied, unknown to this version of balancectl"]),
    ...pending.map((name) => [name, "pending"]),
  ];
  return table(rows);
}
