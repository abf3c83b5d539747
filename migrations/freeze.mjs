/**
 * Freezes functions: the text of functions/NAME.sql goes into the migration that ships it, and what
 * it replaces, the newest copy in an earlier migration, into the way down.
 *
 *     npm run migration:freeze -- 0006-actor apply_operations
 *
 * A copy that is there is replaced where it stands; a new one goes to the end of the way up and to the
 * beginning of the way down. Where nothing comes before it, the way down drops the function.
 * CREATE OR REPLACE keeps neither a change of the parameters nor one of what is returned: such a
 * migration drops the function first, both ways, by a line that is written by hand.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { frozenFunctions } from "../dist/src/database/frozen-functions.js";

const folder = dirname(fileURLToPath(import.meta.url));
const [migration, ...names] = process.argv.slice(2);

if (!/^\d{4}-[a-z0-9-]+$/.test(migration ?? "") || names.length === 0) {
  fail("usage: npm run migration:freeze -- NNNN-name FUNCTION...");
}
const [up, down] = ["up", "down"].map((way) => `${migration}.${way}.sql`);
if (read("released.sha256").includes(`  ${up}\n`)) {
  fail(`${migration} has been released and stays as it is: give the change a migration of its own`);
}
for (const name of names) freeze(name);

/** @param {string} name */
function freeze(name) {
  const source = read(`functions/${name}.sql`);
  const copy = `-- from functions/${name}.sql\n${source}`;
  const [frozen, ...others] = frozenFunctions(copy);
  if (frozen?.text !== source || others.length > 0) {
    fail(
      `functions/${name}.sql: there is one function in it, and nothing after the $$; of its end`,
    );
  }
  const upText = read(up);
  write(up, replaced(upText, name, copy) ?? [upText, copy].filter(Boolean).join("\n"));
  const downText = read(down);
  const before = copyBefore(name);
  if (before !== undefined) {
    write(down, replaced(downText, name, before) ?? [before, downText].filter(Boolean).join("\n"));
  } else if (!new RegExp(`^DROP FUNCTION ${name}\\b`, "m").test(downText)) {
    write(down, `${downText}DROP FUNCTION ${name};\n`);
  }
}

/** With the new copy in the place of the one that is there; undefined where there is none. */
function replaced(sql, name, copy) {
  const there = frozenFunctions(sql).find((frozen) => frozen.name === name);
  return there && sql.replace(`-- from functions/${name}.sql\n${there.text}`, () => copy);
}

/** The newest copy in a migration before this one. */
function copyBefore(name) {
  const earlier = readdirSync(folder).filter((file) => file.endsWith(".up.sql") && file < up);
  const copies = earlier.sort().flatMap((file) => frozenFunctions(read(file)));
  const last = copies.filter((frozen) => frozen.name === name).at(-1);
  return last && `-- from functions/${name}.sql\n${last.text}`;
}

function read(file) {
  const path = join(folder, file);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function write(file, text) {
  writeFileSync(join(folder, file), text);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
