/**
 * Buckets for a picture of the latencies in a terminal: a dozen bars, logarithmic, because under
 * load the slowest answer is often a hundred times slower than the median and linear bars would
 * put everything into the first one.
 */

/** One recorded latency in microseconds and how often it was seen. */
export interface RecordedLatency {
  readonly valueUs: number;
  readonly count: number;
}

/** A bar: latencies from `fromMs` up to, but not including, `toMs` (the last bar includes it). */
export interface HistogramBucket {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
}

/**
 * At most `bucketsMax` neighbouring buckets that hold every recorded value, empty ones included.
 * Edges are rounded to three digits first and counted afterwards, so that what is printed is what
 * was counted. Nothing recorded gives no buckets.
 */
export function latencyBuckets(
  recorded: readonly RecordedLatency[],
  bucketsMax = 12,
): HistogramBucket[] {
  if (recorded.length === 0) return [];
  const edgesUs = bucketEdgesUs(recorded, bucketsMax);
  const counts = new Array<number>(edgesUs.length - 1).fill(0);
  for (const { valueUs, count } of recorded) {
    let index = 0;
    while (index < counts.length - 1 && valueUs >= (edgesUs[index + 1] ?? 0)) index++;
    counts[index] = (counts[index] ?? 0) + count;
  }
  return counts.map((count, index) => ({
    fromMs: (edgesUs[index] ?? 0) / 1000,
    toMs: (edgesUs[index + 1] ?? 0) / 1000,
    count,
  }));
}

function bucketEdgesUs(recorded: readonly RecordedLatency[], bucketsMax: number): number[] {
  let min = Number.POSITIVE_INFINITY;
  let max = 0;
  for (const { valueUs } of recorded) {
    min = Math.min(min, valueUs);
    max = Math.max(max, valueUs);
  }
  const first = roundToDigits(min, Math.floor);
  const last = Math.max(roundToDigits(max, Math.ceil), first + 1);
  const start = Math.max(first, 1);
  const edges = [first];
  for (let i = 1; i < bucketsMax; i++) {
    const edge = roundToDigits(start * (last / start) ** (i / bucketsMax), Math.round);
    if (edge > (edges.at(-1) ?? 0) && edge < last) edges.push(edge);
  }
  edges.push(last);
  return edges;
}

/** Three significant digits, and never finer than the microsecond that was measured. */
function roundToDigits(valueUs: number, round: (n: number) => number): number {
  if (valueUs < 1000) return round(valueUs);
  const unit = 10 ** (Math.floor(Math.log10(valueUs)) - 2);
  return round(valueUs / unit) * unit;
}
