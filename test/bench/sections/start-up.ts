/** How long a person waits for the program. */
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { balancectlScript, runProgram, startServer } from "../processes.ts";
import { summarize } from "../statistics.ts";

export async function measureHelp(bench: Bench): Promise<void> {
  if (!bench.options.wanted("help")) return;
  const node: number[] = [];
  const help: number[] = [];
  for (let round = 0; round < (bench.options.quick ? 3 : 15); round++) {
    node.push(await wallMs(["-e", "0"]));
    help.push(await wallMs([balancectlScript, "--help"]));
  }
  const unit = "ms";
  bench.results.rows.push(
    { name: "node", title: "node -e 0", unit, summary: summarize(node) },
    { name: "help", title: "balancectl --help", unit, summary: summarize(help) },
  );
}

/** `serve` with an embedded PostgreSQL that was there before and is not running. */
export async function measureReady(bench: Bench): Promise<void> {
  if (!bench.options.wanted("ready")) return;
  const args = [balancectlScript, "serve", "--json", "--port", "0"];
  const env = { BALANCECTL_DATA_DIR: join(bench.folder, "ready") };
  const rounds: number[] = [];
  // The first one creates it.
  for (let round = 0; round <= (bench.options.quick ? 1 : 5); round++) {
    const server = await startServer(args, env);
    if (round > 0) rounds.push(server.readyMs);
    await server.stop();
  }
  const title = "balancectl serve, ready";
  bench.results.rows.push({ name: "ready", title, unit: "ms", summary: summarize(rounds) });
}

async function wallMs(args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await runProgram(process.execPath, args);
  return performance.now() - startedAt;
}
