/**
 * Whether a database is what the migrations that were applied to it make: their texts by the checksums
 * that schema_migrations keeps, the functions by their bodies. A guard that somebody has replaced by one
 * that lets everything pass is there and enabled, and guards nothing.
 */
import { readFile } from "node:fs/promises";
import type pg from "pg";
import { BalancectlError } from "../errors.ts";
import { bodyOf, frozenFunctions } from "./frozen-functions.ts";
import { checksumOf, migrationFiles } from "./migration-files.ts";
import { appliedChecksums, ownPlace } from "./schema-migrations.ts";

export interface Alteration {
  readonly what: "migration" | "function";
  readonly name: string;
  /** Whose text it should have. */
  readonly migration: string;
  readonly found: "another text" | "another body" | "several of this name" | "none";
}

/**
 * Migrations first. Of functions nothing is said where the database is newer than the program, whose
 * migrations may have changed them.
 * @throws BalancectlError SCHEMA_FOREIGN, SCHEMA_ALTERED as appliedMigrations
 */
export async function findAlterations(client: pg.Client): Promise<Alteration[]> {
  const applied = await appliedChecksums(client);
  const altered: Alteration[] = [];
  const expected = new Map<string, { migration: string; checksum: string }>();
  for (const { name: migration, up } of await migrationFiles()) {
    const checksum = applied.get(migration);
    if (checksum === undefined) continue;
    applied.delete(migration);
    const sql = await readFile(up, "utf8");
    if (checksum !== checksumOf(sql)) {
      altered.push({ what: "migration", name: migration, migration, found: "another text" });
    }
    for (const frozen of frozenFunctions(sql)) {
      expected.set(frozen.name, { migration, checksum: checksumOf(bodyOf(frozen)) });
    }
  }
  if (applied.size > 0) return altered;
  const bodies = await functionBodies(client, [...expected.keys()]);
  for (const [name, { migration, checksum }] of [...expected].sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const [body, ...others] = bodies.get(name) ?? [];
    if (body === checksum && others.length === 0) continue;
    const differs = others.length > 0 ? "several of this name" : "another body";
    altered.push({ what: "function", name, migration, found: body ? differs : "none" });
  }
  return altered;
}

/**
 * Before a migration is applied: CREATE OR REPLACE would make another program's function ours.
 * @throws BalancectlError MIGRATION_FAILED when one that the migration makes first is there already
 */
export async function refuseForeignFunctions(client: pg.Client, migration: string): Promise<void> {
  const files = (await migrationFiles()).filter(({ name }) => name <= migration);
  const made = await Promise.all(
    files.map(async ({ up }) =>
      frozenFunctions(await readFile(up, "utf8")).map(({ name }) => name),
    ),
  );
  const before = made.slice(0, -1).flat();
  const first = (made.at(-1) ?? []).filter((name) => !before.includes(name));
  const [found] = (await functionBodies(client, first)).keys();
  if (found === undefined) return;
  throw new BalancectlError(
    "MIGRATION_FAILED",
    `${migration} failed: function "${found}" already exists. It was rolled back; the schema is at ` +
      `${files.at(-2)?.name ?? "nothing"}. What is there already is another program's: ${ownPlace}`,
  );
}

/** @throws BalancectlError SCHEMA_ALTERED that says what to do, when there are any */
export function refuseAlterations(altered: readonly Alteration[], schema: string): void {
  if (altered.length === 0) return;
  const remedies = altered.map((one) => remedyOf(one, schema));
  throw new BalancectlError(
    "SCHEMA_ALTERED",
    ["The database is not what this balancectl ships.", ...remedies].join("\n"),
  );
}

/** What is wrong and what to do, for people. @param schema the ledger's, quoted where it must be */
export function remedyOf({ what, name, migration, found }: Alteration, schema: string): string {
  const file = `migrations/${migration}.up.sql`;
  if (what === "migration") {
    return (
      `${name} was applied from another text than ${file} is: use the balancectl that applied it, or ` +
      `revert it and apply this one (balancectl migrate down --to ${name})`
    );
  }
  const is =
    found === "another body"
      ? "it has another body"
      : `there ${found === "none" ? "is" : "are"} ${found}`;
  const first = found === "several of this name" ? "Drop them and run" : "Run";
  return (
    `${name}() is not as ${migration} makes it: ${is}. ${first} its text, under ` +
    `"-- from functions/${name}.sql" in ${file}, again, after SET search_path = ${schema}, pg_temp`
  );
}

/** Checksums of the bodies by name, in the ledger's own schema: another may hold another ledger. */
async function functionBodies(
  client: pg.Client,
  names: readonly string[],
): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string; bodies: string[] }>(
    `SELECT proname::text AS name,
            array_agg(encode(sha256(convert_to(prosrc, 'UTF8')), 'hex')) AS bodies
       FROM pg_proc
      WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
        AND proname = ANY ($1)
      GROUP BY proname`,
    [names],
  );
  return new Map(rows.map(({ name, bodies }) => [name, bodies]));
}
