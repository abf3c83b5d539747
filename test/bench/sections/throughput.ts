/** All candidates side by side: requests, or transactions, a second. */
import type { Bench } from "../bench.ts";
import { candidates } from "../candidates.ts";
import { interleave, startSubjects, stopSubjects, throughputRow } from "../interleave.ts";

export async function measureThroughput(bench: Bench): Promise<void> {
  const wanted = candidates.filter(({ name }) => bench.options.wanted(name));
  const subjects = await startSubjects(bench, wanted);
  if (subjects.length === 0) return;
  const results = await interleave(bench, subjects);
  for (const subject of subjects) {
    bench.results.rows.push(throughputRow(subject, results.get(subject.name) ?? []));
  }
  await stopSubjects(subjects);
}
