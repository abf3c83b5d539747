/** What several rounds say together: the middle one and how far the others are from it. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: readonly number[];
}

export function summarize(rounds: readonly number[]): Summary {
  const sorted = [...rounds].sort((a, b) => a - b);
  return { median: middle(sorted), min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0, rounds };
}

/** @param sorted ascending. @param share 0.5 for the median, 0.99 for the 99th percentile. */
export function percentile(sorted: readonly number[], share: number): number {
  const index = Math.ceil(sorted.length * share) - 1;
  return sorted[Math.min(Math.max(index, 0), sorted.length - 1)] ?? 0;
}

export function median(values: readonly number[]): number {
  return summarize(values).median;
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? 0) + upper) / 2;
}
