/** The built program in a folder of its own, whose migrations a test may change. */
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../../src/package-root.ts";
import { afterFile } from "../cleanup.ts";

export interface ProgramCopy {
  readonly script: string;
  readonly migrations: string;
}

/** Removed after the file. */
export async function copyProgram(): Promise<ProgramCopy> {
  const folder = await mkdtemp(join(tmpdir(), "balancectl-copy-"));
  afterFile(() => rm(folder, { recursive: true, force: true }));
  for (const name of ["dist", "migrations", "package.json"]) {
    await cp(join(packageRoot, name), join(folder, name), { recursive: true });
  }
  await symlink(join(packageRoot, "node_modules"), join(folder, "node_modules"));
  return {
    script: join(folder, "dist/bin/balancectl.js"),
    migrations: join(folder, "migrations"),
  };
}
