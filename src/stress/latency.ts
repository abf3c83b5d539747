/** Latencies of one run: bounded memory whatever the number of requests (an HDR histogram). */
import { build, type JsHistogram } from "hdr-histogram-js";
import type { RecordedLatency } from "./histogram.ts";

/** Milliseconds, exact to a thousandth of their size. All zero when nothing was recorded. */
export interface LatencyPercentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface LatencyRecorder {
  record(latencyMs: number): void;
  count(): number;
  percentiles(): LatencyPercentiles;
  recorded(): RecordedLatency[];
}

// An hour, in microseconds: longer than any request may take, so that recording cannot throw.
const latencyUsMax = 3_600_000_000;

export function createLatencyRecorder(): LatencyRecorder {
  const histogram = build({
    bitBucketSize: 32,
    highestTrackableValue: latencyUsMax,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  }) as JsHistogram;
  // The upper end of a bucket may lie above the largest value in it, which is kept exactly.
  const percentileMs = (percentile: number) =>
    histogram.totalCount === 0
      ? 0
      : toMs(Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue));

  return {
    record(latencyMs) {
      const us = Math.round(latencyMs * 1000);
      histogram.recordValue(Math.min(Math.max(us, 1), latencyUsMax));
    },
    count: () => histogram.totalCount,
    percentiles() {
      return {
        p50: percentileMs(50),
        p90: percentileMs(90),
        p99: percentileMs(99),
        max: percentileMs(100),
      };
    },
    recorded() {
      const values: RecordedLatency[] = [];
      const iterator = histogram.recordedValuesIterator;
      iterator.reset();
      while (iterator.hasNext()) {
        const step = iterator.next();
        values.push({
          valueUs: step.valueIteratedTo,
          count: step.countAddedInThisIterationStep,
        });
      }
      return values;
    },
  };
}

/** Four digits hold all that the histogram keeps; more would be noise in the report. */
function toMs(us: number): number {
  return Number((us / 1000).toPrecision(4));
}
