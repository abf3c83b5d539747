/** The numbered files that this program ships. */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../package-root.ts";

export interface MigrationFile {
  readonly name: string;
  /** Paths of the ways up and down. */
  readonly up: string;
  readonly down: string;
}

/** In the order of their numbers. */
export async function migrationFiles(): Promise<MigrationFile[]> {
  const folder = join(packageRoot, "migrations");
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".up.sql"))
    .map((file) => file.slice(0, -".up.sql".length))
    .sort();
  return names.map((name) => ({
    name,
    up: join(folder, `${name}.up.sql`),
    down: join(folder, `${name}.down.sql`),
  }));
}

/** SHA-256 in hex: of a way up, as schema_migrations keeps it, and of the body of a function. */
export function checksumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
