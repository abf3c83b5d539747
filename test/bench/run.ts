/**
 * `npm run bench`: every number beside its limits, measured in one run on one PostgreSQL server,
 * with a load generator that is not ours. The sections run one after the other; within one, rounds
 * are interleaved. Whatever it starts, it ends, also after a Ctrl-C.
 */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../src/package-root.ts";
import type { Bench } from "./bench.ts";
import { openDatabaseServer } from "./database-server.ts";
import { judge } from "./goals.ts";
import { findTool } from "./load/find-tool.ts";
import { describeMachine } from "./machine.ts";
import { writeSection } from "./marked-section.ts";
import { type BenchOptions, parseOptions, usage } from "./options.ts";
import { stopAllProcesses } from "./processes.ts";
import { markdownReport, markdownSummary, type Report, terminalReport } from "./report.ts";
import { measureBurst } from "./sections/burst.ts";
import { measureIdle } from "./sections/idle.ts";
import { measureJournal } from "./sections/journal.ts";
import { measureMemory } from "./sections/memory.ts";
import { measureHelp, measureReady } from "./sections/start-up.ts";
import { measureThroughput } from "./sections/throughput.ts";
import { createTemplate } from "./template.ts";

/** What to undo, the latest first. */
const closers: (() => Promise<unknown>)[] = [];
const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => reject(new Error(`stopped by ${signal}`)));
  }
});

try {
  const options = parseOptions(process.argv.slice(2));
  if (options) {
    const report = await Promise.race([run(options), interrupted]);
    process.exitCode = report.problems.length > 0 ? 1 : 0;
  } else {
    process.stdout.write(`${usage}\n`);
  }
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
for (const close of closers.reverse()) await close().catch((error) => say(String(error)));
// What an interrupt left half done may still hold a timer or a socket.
process.exit();

async function run(options: BenchOptions): Promise<Report> {
  const startedAt = new Date();
  const folder = await mkdtemp(join(tmpdir(), "balancectl-bench-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  // Under root PostgreSQL runs as another user, who has to get through to its data.
  await chmod(folder, 0o711);
  const machine = await describeMachine(folder);
  const database = await openDatabaseServer(process.env["BENCH_DATABASE_URL"], folder);
  closers.push(database.close, stopAllProcesses);
  const tool = await findTool(folder);
  let template: Promise<string> | undefined;
  const bench: Bench = {
    options,
    database,
    tool,
    folder,
    template: () => {
      template ??= createTemplate(database);
      return template;
    },
    say,
    results: { rows: [], notes: [], problems: [] },
  };
  await measureThroughput(bench);
  await measureBurst(bench);
  await measureIdle(bench);
  await measureJournal(bench);
  await measureMemory(bench);
  await measureHelp(bench);
  await measureReady(bench);
  const { rows, notes, problems } = bench.results;
  const report: Report = {
    command: `npm run bench${options.given === "" ? "" : ` -- ${options.given}`}`,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1_000),
    tool: tool.name,
    database: database.description,
    machine: machine.lines,
    measured:
      `${tool.name}, closed loop, ${options.connections} connections; medians of interleaved ` +
      `rounds (${options.rounds} of ${options.seconds} s)`,
    rows,
    goals: judge(rows, machine.cores),
    notes,
    problems,
  };
  await publish(options, report);
  return report;
}

async function publish(options: BenchOptions, report: Report): Promise<void> {
  process.stdout.write(`\n${terminalReport(report)}`);
  // Only a full run is worth keeping.
  const kept = options.given === "" || options.given === "--readme";
  const folder = join(packageRoot, "test/bench", kept ? "" : ".build");
  const json = options.json ?? join(folder, "results.json");
  await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  say(`results in ${json}`);
  if (options.readme) {
    await writeSection(join(packageRoot, "docs/performance.md"), markdownReport(report));
    await writeSection(join(packageRoot, "README.md"), markdownSummary(report));
    say("results in docs/performance.md, and the first of them in README.md");
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
