/** Database functions: their sources, the frozen copies in migrations, and what a database holds. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { bodyOf, frozenFunctions } from "../../src/database/frozen-functions.ts";
import { doorFunctions } from "../../src/database/rights.ts";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { copyProgram } from "../support/server/program-copy.ts";

const folder = join(packageRoot, "migrations");
const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
const texts = new Map(
  await Promise.all(
    files.map(async (file) => [file, await readFile(join(folder, file), "utf8")] as const),
  ),
);
const sources = new Map(
  await Promise.all(
    (await readdir(join(folder, "functions")))
      .sort()
      .map(
        async (file) =>
          [
            file.replace(/\.sql$/, ""),
            await readFile(join(folder, "functions", file), "utf8"),
          ] as const,
      ),
  ),
);
/** Later ones take the place of earlier ones. */
const newest = new Map(
  files
    .filter((file) => file.endsWith(".up.sql"))
    .flatMap((file) => frozenFunctions(texts.get(file) ?? ""))
    .map((frozen) => [frozen.name, frozen]),
);

describe("the functions of the migrations", () => {
  test("are frozen copies of their sources, the newest as the source is", () => {
    expect([...newest.keys()].sort()).toEqual([...sources.keys()]);
    const differing = [...newest.values()].filter(({ name, text }) => text !== sources.get(name));
    expect(differing.map(({ name }) => name)).toEqual([]);
  });

  test("are made by frozen copies alone", () => {
    const byHand = files.flatMap((file) => {
      let rest = texts.get(file) ?? "";
      for (const { text } of frozenFunctions(rest)) rest = rest.replace(text, () => "");
      return /CREATE (OR REPLACE )?FUNCTION/i.test(rest) ? [file] : [];
    });
    expect(byHand).toEqual([]);
  });

  test("are what a database holds that was migrated from nothing", async () => {
    const url = await createTestDatabase();
    const rows = await psql<{ name: string; body: string }>(
      url,
      `SELECT proname AS name, prosrc AS body FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace ORDER BY proname`,
    );
    expect(rows).toEqual(
      [...sources].map(([name, text]) => ({ name, body: bodyOf({ name, text }) })),
    );
  });

  test("look tables up in the ledger's schema: what names one has SET search_path FROM CURRENT", () => {
    const table = /\b(FROM|JOIN|INTO|UPDATE) (users|entries|holds|idempotency_keys)\b/;
    const loose = [...sources].filter(
      ([, text]) => table.test(text) && !/^SET search_path FROM CURRENT$/m.test(text),
    );
    expect(loose.map(([name]) => name)).toEqual([]);
  });
});

/** Parameters are told by the database, variables by the text. */
function variablesOf(text: string): string[] {
  const code = text.replaceAll(/--.*$/gm, "");
  const [, declared = ""] = /^DECLARE\n(.*?)^BEGIN$/ms.exec(code) ?? [];
  const names = declared.split(";").map((one) => one.trim().split(/\s/)[0] ?? "");
  const loops = [...code.matchAll(/\bFOR(?:EACH)? (\w+) IN\b/g)].map(([, name = ""]) => name);
  return [...names, ...loops].filter(Boolean);
}

test("no variable or parameter has the name of a column or a table", async () => {
  const url = await createTestDatabase();
  const taken = await psql<{ name: string }>(
    url,
    `SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public'
      UNION SELECT unnest(ARRAY[relname, rtrim(relname, 's')]) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
  );
  const parameters = await psql<{ name: string; parameters: string[] | null }>(
    url,
    `SELECT proname AS name, proargnames AS parameters FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace`,
  );
  const names = parameters.flatMap(({ name, parameters: own }) =>
    [...(own ?? []), ...variablesOf(sources.get(name) ?? "")].map((variable) => [name, variable]),
  );
  expect(names).toEqual(
    expect.arrayContaining([
      ["apply_operations", "payer"],
      ["apply_operations", "p_slots"],
      ["apply_operations", "posting"],
      ["version_at", "middle"],
    ]),
  );
  const colliding = names.filter(([, variable]) => taken.some(({ name }) => name === variable));
  // What callers name; their bodies read no table, or name the function before the parameter.
  const door = new Set<string>(doorFunctions);
  expect(colliding.filter(([name = ""]) => !door.has(name))).toEqual([
    // What it is called in the answer.
    ["apply_operations", "holds"],
  ]);
});

test("what has been released stays as it was, by its checksum", async () => {
  const released = (await readFile(join(folder, "released.sha256"), "utf8")).trim().split("\n");
  const now = files.map((file) => {
    const text = texts.get(file) ?? "";
    return `${createHash("sha256").update(text).digest("hex")}  ${file}`;
  });
  // Whatever comes after it may still change; nothing comes in between.
  expect(now.slice(0, released.length)).toEqual(released);
});

describe("npm run migration:freeze", () => {
  const run = promisify(execFile);
  const marker = "-- from functions/version_at.sql\n";

  /** The script in a copy, where it may write. */
  async function startFreezing() {
    const { migrations } = await copyProgram();
    const path = (file: string) => join(migrations, file);
    return {
      freeze: (...args: string[]) => run(process.execPath, [path("freeze.mjs"), ...args]),
      read: (file: string) => readFile(path(file), "utf8"),
      write: (file: string, text: string) => writeFile(path(file), text),
    };
  }

  test("writes the source into the way up and its predecessor into the way down", async () => {
    const { freeze, read, write } = await startFreezing();
    const before = sources.get("version_at") as string;
    const after = before.replace("BEGIN\n", "BEGIN\n  -- $& is no pattern here.\n");
    await write("functions/version_at.sql", after);
    await write("0006-later.up.sql", "ALTER TABLE users ADD COLUMN x bigint;\n");
    await write("0006-later.down.sql", "ALTER TABLE users DROP COLUMN x;\n");
    await freeze("0006-later", "version_at");
    expect(await read("0006-later.up.sql")).toBe(
      `ALTER TABLE users ADD COLUMN x bigint;\n\n${marker}${after}`,
    );
    expect(await read("0006-later.down.sql")).toBe(
      `${marker}${before}\nALTER TABLE users DROP COLUMN x;\n`,
    );

    // Edited once more, it takes the copy's place, and the predecessor stays the same.
    const last = before.replace("BEGIN\n", "BEGIN\n  -- Later still.\n");
    await write("functions/version_at.sql", last);
    await freeze("0006-later", "version_at");
    expect(await read("0006-later.up.sql")).toBe(
      `ALTER TABLE users ADD COLUMN x bigint;\n\n${marker}${last}`,
    );
    expect(await read("0006-later.down.sql")).toContain(before);
  });

  test("a function that is new is dropped on the way down; files that are missing are made", async () => {
    const { freeze, read, write } = await startFreezing();
    const source =
      "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS $$\n  SELECT 1\n$$;\n";
    await write("functions/one.sql", source);
    await freeze("0006-later", "one");
    await freeze("0006-later", "one");
    expect(await read("0006-later.up.sql")).toBe(`-- from functions/one.sql\n${source}`);
    expect(await read("0006-later.down.sql")).toBe("DROP FUNCTION one;\n");
  });

  test.each([
    [["0005-version-at", "version_at"], /0005-version-at has been released/],
    [["0006-later"], /^usage: /],
    [["later", "version_at"], /^usage: /],
    [["0006-later", "nothing"], /^functions\/nothing\.sql: there is one function in it/],
  ])("%j is refused", async (args, message) => {
    const { freeze } = await startFreezing();
    await expect(freeze(...args)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(message),
    });
  });
});
