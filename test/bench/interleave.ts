/** Rounds: in each, everybody has one turn, so that what changes on the machine meets all alike. */
import type { Bench, Row } from "./bench.ts";
import type { Candidate } from "./candidates.ts";
import type { LoadResult } from "./load/load.ts";
import { median, summarize } from "./statistics.ts";
import type { Subject } from "./subject.ts";

/** @param connections instead of those that are usual for each */
export async function interleave(
  bench: Bench,
  subjects: readonly Subject[],
  connections?: number,
): Promise<Map<string, LoadResult[]>> {
  const { rounds, seconds, warmUpSeconds } = bench.options;
  if (warmUpSeconds > 0) {
    bench.say(`warming up: ${subjects.map(({ name }) => name).join(", ")}`);
    for (const subject of subjects) await subject.measure(warmUpSeconds, connections);
  }
  const results = new Map<string, LoadResult[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    await bench.database.checkpoint();
    // Each round begins with another one: nobody always follows the same neighbour.
    const shift = Math.floor((round * subjects.length) / rounds);
    for (const subject of [...subjects.slice(shift), ...subjects.slice(0, shift)]) {
      await bench.database.quiet();
      const result = await subject.measure(seconds, connections);
      results.get(subject.name)?.push(result);
      const { perSecond, p50Ms } = result;
      bench.say(
        `round ${round + 1}/${rounds}  ${subject.title.padEnd(36)} ` +
          `${Math.round(perSecond).toLocaleString("en-US").padStart(8)}/s  p50 ${p50Ms.toFixed(2)} ms`,
      );
    }
  }
  return results;
}

export function throughputRow(subject: Subject, results: readonly LoadResult[]): Row {
  return {
    name: subject.name,
    title: subject.title,
    unit: "/s",
    summary: summarize(results.map(({ perSecond }) => perSecond)),
    p50Ms: median(results.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(results.map(({ p99Ms }) => p99Ms)),
  };
}

/** Those of the candidates that can be measured here. */
export async function startSubjects(
  bench: Bench,
  wanted: readonly Candidate[],
): Promise<Subject[]> {
  bench.say(`starting: ${wanted.map(({ name }) => name).join(", ")}`);
  const subjects = await Promise.all(wanted.map((candidate) => candidate.start(bench)));
  return subjects.filter((subject) => subject !== undefined);
}

export async function stopSubjects(subjects: readonly Subject[]): Promise<void> {
  await Promise.all(subjects.map(({ stop }) => stop()));
}
