/** Reverts migrations under a running server, as somebody with psql could: `migrate down` refuses. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../../src/package-root.ts";
import { psql } from "./database.ts";

/** @param count how many, the latest first */
export async function revertByHand(url: string, count = Number.POSITIVE_INFINITY): Promise<void> {
  const sql = "SELECT name FROM schema_migrations ORDER BY name DESC";
  for (const { name } of (await psql<{ name: string }>(url, sql)).slice(0, count)) {
    await psql(url, await readFile(join(packageRoot, "migrations", `${name}.down.sql`), "utf8"));
    await psql(url, "DELETE FROM schema_migrations WHERE name = $1", [name]);
  }
}
