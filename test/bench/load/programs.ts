import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";

/** The path of a program on PATH, or undefined. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    if (folder !== "" && (await isExecutable(path))) return path;
  }
  return undefined;
}

/** Debian keeps some of PostgreSQL's programs off PATH, beside the one that pg_ctl leads to. */
export async function findPgbench(): Promise<string | undefined> {
  const pgCtl = await findProgram("pg_ctl");
  const beside = pgCtl && join(dirname(await realpath(pgCtl)), "pgbench");
  if (beside && (await isExecutable(beside))) return beside;
  return await findProgram("pgbench");
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
