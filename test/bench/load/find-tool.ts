import { createRequire } from "node:module";
import { autocannonTool } from "./autocannon.ts";
import type { LoadTool } from "./load.ts";
import { findProgram } from "./programs.ts";
import { wrkTool } from "./wrk.ts";

/**
 * wrk where it is on PATH: it needs about a tenth of a core for what autocannon needs all of one,
 * and leaves the rest of a small machine to the server.
 * @param folder for the scripts of wrk
 */
export async function findTool(folder: string): Promise<LoadTool> {
  const wrk = await findProgram("wrk");
  if (wrk !== undefined) return await wrkTool(wrk, folder);
  const { version } = createRequire(import.meta.url)("autocannon/package.json");
  return autocannonTool(version);
}
