import { runScript } from "../processes.ts";
import type { LoadResult, LoadTool } from "./load.ts";

/** autocannon, in a process of its own. */
export function autocannonTool(version: string): LoadTool {
  return {
    name: `autocannon ${version}`,
    run: (load) => runScript<LoadResult>("load/autocannon-process.js", load),
  };
}
