/** The packed program: what is in it, and that it runs from there. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "../src/package-root.ts";
import { afterFile } from "./support/cleanup.ts";
import { unusedDatabaseUrl } from "./support/database.ts";
import { balancectl } from "./support/program.ts";

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
  expect(paths.filter((path) => /\.(map|ts|tgz)$/.test(path))).toEqual([]);
});

test("runs where it is unpacked", async () => {
  await run("tar", ["-xzf", join(folder, filename), "-C", folder]);
  const unpacked = join(folder, "package");
  await symlink(join(packageRoot, "node_modules"), join(unpacked, "node_modules"));
  const where = { script: join(unpacked, "dist/bin/balancectl.js") };
  const env = { DATABASE_URL: unusedDatabaseUrl() };
  expect((await balancectl(["migrate"], env, where)).code).toBe(0);
  const { stdout: said } = await balancectl(["adjust", "1", "-2"], env, where);
  expect(said).toBe("User 1: 10,000 → 9,998 (-2)\n");
});
