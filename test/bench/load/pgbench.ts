/** PostgreSQL's own benchmark program with the statement that the others are held against. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../processes.ts";
import { changeStatement } from "../simple-schema.ts";
import { amountTaken, type LoadResult } from "./load.ts";
import type { PostgresLoad } from "./postgres-process.ts";

export async function runPgbench(
  program: string,
  folder: string,
  { url, userId, connections, seconds }: PostgresLoad,
): Promise<LoadResult> {
  const script = join(folder, "pgbench.sql");
  const statement = changeStatement
    .replaceAll("$1", String(userId))
    .replaceAll("$2", `(-${amountTaken})`);
  await writeFile(script, `${statement};\n`);
  const options = ["--no-vacuum", "--protocol=prepared", "--jobs=2", `--client=${connections}`];
  const printed = await runProgram(program, [
    ...options,
    `--time=${seconds}`,
    `--file=${script}`,
    url,
  ]);
  const number = (label: RegExp) => Number(label.exec(printed)?.[1] ?? Number.NaN);
  const latencyMs = number(/latency average = ([\d.]+)/);
  return {
    done: number(/transactions actually processed: (\d+)/),
    refused: 0,
    broken: number(/failed transactions: (\d+)/) || 0,
    perSecond: number(/tps = ([\d.]+) \(without initial/),
    // It gives the mean, not the median.
    p50Ms: latencyMs,
    p99Ms: Number.NaN,
  };
}

export async function pgbenchVersion(program: string): Promise<string> {
  return (await runProgram(program, ["--version"])).trim();
}
