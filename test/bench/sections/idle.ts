/** One request at a time on a server with nothing else to do. */
import type { Bench } from "../bench.ts";
import { candidates } from "../candidates.ts";
import { interleave, startSubjects, stopSubjects } from "../interleave.ts";
import { median, summarize } from "../statistics.ts";

const titles: Readonly<Record<string, string>> = {
  B: "one at a time, (B), p50",
  E: "one statement at a time, (E), p50",
  hot: "one at a time, balancectl, p50",
};

export async function measureIdle(bench: Bench): Promise<void> {
  if (!bench.options.wanted("idle")) return;
  const wanted = candidates.filter(({ name }) => titles[name] !== undefined);
  const subjects = await startSubjects(bench, wanted);
  const results = await interleave(bench, subjects, 1);
  for (const { name } of subjects) {
    const rounds = results.get(name) ?? [];
    bench.results.rows.push({
      name: `idle-${name}`,
      title: titles[name] ?? name,
      unit: "ms",
      summary: summarize(rounds.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    });
  }
  await stopSubjects(subjects);
}
