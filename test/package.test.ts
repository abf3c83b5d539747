/** The packed program: what is in it, and that it runs where it is installed from there. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import { packageRoot } from "../src/package-root.ts";
import { afterFile } from "./support/cleanup.ts";
import { unusedDatabaseUrl } from "./support/database/database.ts";
import { balancectl } from "./support/server/program.ts";

// npm unpacks 170 packages: 10 s alone, more beside other files.
vi.setConfig({ testTimeout: 180_000 });

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "balancectl-pack-"));
afterFile(() => rm(folder, { recursive: true, force: true }));

// Other files run what is built, so it is not built anew.
const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
const { stdout } = await run("npm", pack, { cwd: packageRoot });
const [{ filename, files }] = JSON.parse(stdout) as [
  { filename: string; files: { path: string }[] },
];
const paths = files.map(({ path }) => path);

test("holds the program, its migrations and its documents, and nothing that points elsewhere", async () => {
  const names = await readdir(join(packageRoot, "migrations"));
  const migrations = names.filter((name) => name.endsWith(".sql"));
  const packed = paths.filter((path) => path.startsWith("migrations/"));
  expect(packed.sort()).toEqual(migrations.map((name) => `migrations/${name}`).sort());
  expect(paths).toEqual(
    expect.arrayContaining([...["dist/bin/balancectl.js", "README.md", "LICENSE", ".env.example"]]),
  );
  // Source maps would name sources that are not in it.
  const sources = paths.filter((path) => /\.(map|ts|tgz)$/.test(path) && !path.endsWith(".d.ts"));
  expect(sources).toEqual([]);
  // Types of the client, and of what they stand on.
  const outside = paths.filter((path) => path.endsWith(".d.ts") && !path.includes("/client/"));
  expect(outside.sort()).toEqual([
    "dist/src/errors.d.ts",
    ...["dist/src/http/contract/answers.d.ts", "dist/src/http/contract/requests.d.ts"],
    ...["adapters", "open-ledger", "shapes"].map((name) => `dist/src/library/${name}.d.ts`),
  ]);
});

test("holds what its documents link to", async () => {
  const documents = paths.filter((path) => path.endsWith(".md"));
  const broken: string[] = [];
  for (const document of documents) {
    const text = await readFile(join(packageRoot, document), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const path = normalize(join(dirname(document), target));
      if (!paths.includes(path)) broken.push(`${document}: ${target}`);
    }
  }
  expect(documents).toContain("README.md");
  expect(broken).toEqual([]);
});

test("says where it comes from, and lets nobody reach into it", async () => {
  const text = await readFile(join(packageRoot, "package.json"), "utf8");
  const { exports, repository, bugs, homepage, scripts } = JSON.parse(text);
  const client = "./dist/src/client/balance-client";
  const library = "./dist/src/library/open-ledger";
  expect(exports).toEqual({
    ".": { types: `${library}.d.ts`, default: `${library}.js` },
    "./client": { types: `${client}.d.ts`, default: `${client}.js` },
    "./package.json": "./package.json",
  });
  expect([repository.url, bugs, homepage].map((url) => url.includes("/balancectl"))).toEqual([
    ...[true, true, true],
  ]);
  expect(scripts.prepublishOnly).toContain(".ci/refuse-unreleased.mjs");
});

test("runs where it is installed, in an empty folder", async () => {
  const empty = join(folder, "empty");
  await mkdir(empty);
  await writeFile(join(empty, "package.json"), JSON.stringify(emptyProject));
  await writeFile(join(empty, "package-lock.json"), JSON.stringify(await lockOfEmptyProject()));
  const quietly = ["--prefer-offline", "--no-audit", "--no-fund"];
  await run("npm", ["ci", ...quietly], { cwd: empty });

  const script = join(empty, "node_modules/.bin/balancectl");
  const { version } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8"));
  expect((await run(script, ["--version"], { cwd: empty })).stdout).toBe(`${version}\n`);
  const env = { DATABASE_URL: unusedDatabaseUrl() };
  expect((await balancectl(["migrate"], env, { script })).code).toBe(0);
  const { stdout: said } = await balancectl(["adjust", "1", "-2"], env, { script });
  expect(said).toBe("User 1: 10,000 → 9,998 (-2)\n");
  const { code } = await balancectl(["stress", "--count", "100"], env, { script });
  expect(code).toBe(0);

  // The client as it is installed, for a browser: with its types, and without a package or Node's.
  await writeFile(
    join(empty, "shop.mts"),
    `import { BalanceClient, BalanceError, type Entry } from "balancectl/client";
     const client = new BalanceClient({ url: "/balances", token: async () => "t" });
     const { balance, version } = await client.adjust(1, -2, { reference: "r", ifVersion: 3 });
     const [a, b]: [number, number | undefined] = [balance, version];
     export const entries: Entry[] = [];
     for await (const entry of client.listEntries(1, { order: "asc" })) entries.push(entry);
     // @ts-expect-error: an amount is a number
     await client.adjust(1, "2");
     // @ts-expect-error: nothing is called so
     await client.transfer({ from: 1, to: 2, amout: 5 });
     export const isPoor = (e: unknown) => e instanceof BalanceError && e.code === "INSUFFICIENT_FUNDS";
     // @ts-expect-error: there is no such code
     export const isOdd = (e: BalanceError) => e.code === "INSUFFICIENT_FOUNDS";
     console.log(a, b);
`,
  );
  // The library as it is installed: with its types, and at work.
  await writeFile(
    join(empty, "ledger.mts"),
    `import { openLedger, type Verdict } from "balancectl";
     declare const env: { readonly DATABASE_URL: string };
     const ledger = await openLedger({ databaseUrl: env.DATABASE_URL });
     const verdict: Verdict = await ledger.adjust({ userId: 1, amount: -2, idempotencyKey: "k" });
     if (verdict.refusal === null) console.log(verdict.previousBalance);
     // @ts-expect-error: only what was done has it
     console.log(verdict.previousBalance);
     // @ts-expect-error: an amount is a number
     await ledger.in({ query: async () => ({ rows: [] }) }).adjust({ userId: 1, amount: "2" });
     await ledger.close();
`,
  );
  await writeFile(
    join(empty, "ledger.mjs"),
    `import { openLedger } from "balancectl";
     const ledger = await openLedger({ databaseUrl: process.env.DATABASE_URL });
     console.log(JSON.stringify(await ledger.adjust({ userId: 1, amount: -3 })));
     await ledger.close();
`,
  );
  const used = await run(process.execPath, ["ledger.mjs"], {
    cwd: empty,
    env: { ...process.env, ...env },
  });
  expect(JSON.parse(used.stdout)).toMatchObject({
    refusal: null,
    balance: 9_995,
    previousBalance: 9_998,
  });
  const strictly = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"];
  const browser = [
    "--lib",
    "es2023,dom,dom.asynciterable",
    "--types",
    "",
    "shop.mts",
    "ledger.mts",
  ];
  const tsc = join(packageRoot, "node_modules/.bin/tsc");
  const told = await run(tsc, [...strictly, ...browser], { cwd: empty }).catch((failed) => failed);
  expect(told.stdout).toBe("");
});

const source = `file:../${filename}`;
const emptyProject = { name: "empty", version: "1.0.0", dependencies: { balancectl: source } };

/**
 * The versions that this checkout has: the same in every run, and npm has them in its cache from installing
 * them here, so that it asks nobody.
 */
async function lockOfEmptyProject(): Promise<unknown> {
  type Packages = Record<string, Record<string, unknown>>;
  const text = await readFile(join(packageRoot, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as { packages: Packages };
  const { "": self = {}, ...others } = packages;
  const { version, bin, dependencies, optionalDependencies } = self;
  return {
    ...{ name: emptyProject.name, version: emptyProject.version, lockfileVersion: 3 },
    packages: {
      "": emptyProject,
      "node_modules/balancectl": {
        ...{ version, resolved: source, bin, dependencies, optionalDependencies },
      },
      ...Object.fromEntries(Object.entries(others).filter(([, about]) => about["dev"] !== true)),
    },
  };
}
