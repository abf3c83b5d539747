/** The examples in the documents of the client: they compile as they stand, run, and print what they say. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { BalanceClient } from "../../src/client/balance-client.ts";
import { routes } from "../../src/http/routes/all.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const run = promisify(execFile);
const document = await readFile(join(packageRoot, "docs/client.md"), "utf8");
const readme = await readFile(join(packageRoot, "README.md"), "utf8");

// Inside the package, where "balancectl/client" is what it exports.
const folder = await mkdtemp(join(packageRoot, "test", "client-documents-"));
afterFile(() => rm(folder, { recursive: true, force: true }));

function examplesIn(text: string): string[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, example = ""]) => example);
}

/** What its lines say that they print. */
function printedBy(example: string): string[] {
  return [...example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = ""]) => text);
}

test("compile, with the types that are shipped", async () => {
  const examples = [...examplesIn(document), ...examplesIn(readme)];
  expect(examples.length).toBeGreaterThan(7);
  for (const [index, text] of examples.entries()) {
    await writeFile(join(folder, `example-${index}.mts`), text);
  }
  const compilerOptions = {
    ...{ target: "es2023", lib: ["es2023"], module: "nodenext", types: ["node"], strict: true },
    ...{ noEmit: true, noUnusedLocals: true },
  };
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, include: ["*.mts"] }),
  );
  const tsc = join(packageRoot, "node_modules/.bin/tsc");
  const told = await run(tsc, ["-p", folder]).catch((failed) => failed);
  expect(told.stdout).toBe("");
});

test.each([
  ["docs/client.md", document],
  ["README.md", readme],
])(
  "of %s run, one after the other on a new ledger, and print what they say",
  async (_name, text) => {
    const server = await serveInProcess(await createTestDatabase());
    const examples = examplesIn(text).map((example) =>
      example.replaceAll("http://127.0.0.1:3000", server.url),
    );
    await writeFile(join(folder, "token"), "a token\n");
    for (const [index, example] of examples.entries()) {
      await writeFile(join(folder, `example-${index}.mjs`), example);
    }
    const all = examples.map((_, index) => `await import("./example-${index}.mjs");\n`).join("");
    await writeFile(join(folder, "all.mjs"), all);
    const { stdout, stderr } = await run(process.execPath, ["all.mjs"], { cwd: folder });
    expect({ lines: stdout.trim().split("\n"), stderr }).toEqual({
      lines: examples.flatMap(printedBy),
      stderr: "",
    });
  },
);

test("the table of methods has each of them, and each route", () => {
  const table = document.slice(document.indexOf("| method | request |"));
  const named = [...table.matchAll(/`(\w+)\(/g)].map(([, name]) => name);
  const methods = Object.getOwnPropertyNames(BalanceClient.prototype);
  expect(named.toSorted()).toEqual(methods.filter((name) => name !== "constructor").toSorted());
  const requests = [...table.matchAll(/`((?:GET|PUT|POST) [^`]+)`/g)].map(([, route]) => route);
  expect(requests.toSorted()).toEqual(
    // Documents are nothing that a program calls by a method.
    routes
      .filter((route) => route.document === undefined)
      .map(({ method, path }) => `${method} ${path}`)
      .toSorted(),
  );
});
