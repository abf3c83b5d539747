/**
 * `npm run torture`: rounds of faults under a load whose every answer is kept, and is held against the
 * journal afterwards. Whatever it starts, it ends, also after a Ctrl-C.
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { check, isClean, type Verdict } from "./check/check.ts";
import { wrong } from "./check/finding.ts";
import { faults } from "./faults/all.ts";
import type { Fault } from "./faults/fault.ts";
import { readHistory } from "./history/file.ts";
import { parseOptions, type TortureOptions, usage } from "./options.ts";
import { complaints, table } from "./report.ts";
import { runRound } from "./round.ts";
import { appRole, type Cluster, createCluster } from "./stage/cluster.ts";

/** What to undo, the latest first. */
const closers: (() => Promise<unknown>)[] = [];
const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => reject(new Error(`stopped by ${signal}`)));
  }
  // A fault of the harness leaves no servers behind either.
  process.on("uncaughtException", reject);
  process.on("unhandledRejection", reject);
});

try {
  const options = parseOptions(process.argv.slice(2));
  const verdicts = options ? await Promise.race([act(options), interrupted]) : [];
  if (!options) process.stdout.write(`${usage}\n`);
  if (!verdicts.every(isClean)) process.exitCode = 1;
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
for (const close of closers.splice(0).reverse()) await close().catch((error) => say(String(error)));
// What an interrupt left half done may still hold a timer or a socket.
process.exit();

async function act(options: TortureOptions): Promise<Verdict[]> {
  const chosen = choose(options);
  if (options.list) {
    for (const fault of chosen) {
      const why = await fault.impossible?.();
      process.stdout.write(
        `${fault.name}${fault.slow ? " (slow)" : ""}${why ? `: not here, ${why}` : ""}\n`,
      );
    }
    return [];
  }
  const verdicts =
    options.check === undefined
      ? await torture(options, chosen)
      : [await checkFile(resolve(options.check))];
  process.stdout.write(`${table(verdicts)}\n`);
  return verdicts;
}

async function checkFile(path: string): Promise<Verdict> {
  const verdict = check(await readHistory(path));
  for (const line of complaints(verdict, 100)) say(line);
  return verdict;
}

function choose({ faults: names }: TortureOptions): readonly Fault[] {
  for (const name of names ?? []) {
    if (faults.some((fault) => fault.name === name)) continue;
    throw new Error(
      `--fault does not know ${name}; it knows ${faults.map((one) => one.name).join(", ")}`,
    );
  }
  return faults.filter(({ name }) => names?.includes(name) ?? true);
}

async function torture(options: TortureOptions, chosen: readonly Fault[]): Promise<Verdict[]> {
  const { seed, seconds, callers } = options;
  const folder = await mkdtemp(join(tmpdir(), "balancectl-torture-"));
  // Under root PostgreSQL runs as another user, who has to get through to its data.
  await chmod(folder, 0o711);
  const histories = resolve(options.history ?? join(folder, "histories"));
  await mkdir(histories, { recursive: true });
  const verdicts: Verdict[] = [];
  closers.push(async () => {
    if (options.history !== undefined || verdicts.every(isClean)) {
      await rm(folder, { recursive: true, force: true });
    } else {
      await rm(join(folder, "postgres"), { recursive: true, force: true });
      say(`histories of the bad rounds are in ${histories}`);
    }
  });
  const possible = await allPossible(chosen);
  const cluster = await openCluster(folder);
  say(`seed ${seed}, ${cluster.version}`);
  const skipped = new Set(possible);
  for (const { fault, round } of schedule(options, possible)) {
    skipped.delete(fault);
    const path = join(histories, `${seed}-${fault.name}-${round}.jsonl`);
    const roundSeed = seedOf(seed, fault.name, round);
    const begun = performance.now();
    const verdict = await runRound({
      ...{ cluster, fault, round, seed: roundSeed, seconds, callers, path, closers },
    }).catch((error) => notRun(fault, error));
    verdicts.push(verdict);
    const took = ((performance.now() - begun) / 1_000).toFixed(0);
    const clean = isClean(verdict);
    say(`${clean ? "ok" : "BAD"} ${fault.name} ${round}: ${verdict.requests} requests, ${took} s`);
    for (const line of complaints(verdict)) say(`  ${line}`);
    if (clean && options.history === undefined) await rm(path);
  }
  if (skipped.size > 0) {
    say(`no time for ${[...skipped].map(({ name }) => name).join(", ")}: give more --minutes`);
  }
  return verdicts;
}

/** Servers that do not start under a fault, or a harness that does not work: both are to be looked at. */
function notRun({ name }: Fault, error: Error): Verdict {
  return {
    ...{ fault: name, requests: 0, acknowledged: 0, fiveHundreds: 0, silent: 0 },
    ...{ unknownMade: 0, unknownNotMade: 0, recoveryMsMax: 0, waitMsMax: 0, said: new Map() },
    findings: [wrong(`the round could not be run: ${error.message}`)],
  };
}

async function allPossible(chosen: readonly Fault[]): Promise<Fault[]> {
  const possible: Fault[] = [];
  for (const fault of chosen) {
    const why = await fault.impossible?.();
    if (why === undefined) possible.push(fault);
    else say(`skipped ${fault.name}: ${why}`);
  }
  return possible;
}

async function openCluster(folder: string): Promise<Cluster> {
  const cluster = await createCluster(folder, process.env["TORTURE_POSTGRES"], say);
  closers.push(() => cluster.stop("SIGQUIT"));
  await cluster.start();
  await cluster.admin(`CREATE ROLE ${appRole} LOGIN`);
  return cluster;
}

function* schedule(
  { rounds, minutes }: TortureOptions,
  chosen: readonly Fault[],
): Generator<{ fault: Fault; round: number }> {
  const deadline = performance.now() + minutes * 60_000;
  for (let round = 1; rounds === undefined || round <= rounds; round += 1) {
    // The slow ones last: where the time is short, it is short for them.
    const due = [
      ...chosen.filter(({ slow }) => !slow),
      ...chosen.filter(({ slow }) => slow && round % 4 === 1),
    ];
    // Without it, nothing but slow faults would be a loop that does nothing.
    if (due.length === 0 && rounds === undefined) continue;
    for (const fault of due) {
      if (rounds === undefined && performance.now() > deadline) return;
      yield { fault, round };
    }
  }
}

/** The dice of one round do not depend on which rounds were before it. */
function seedOf(seed: number, fault: string, round: number): number {
  let hash = seed;
  for (const character of `${fault} ${round}`) {
    hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  }
  return hash;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
