import { array, assert, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { latencyBuckets } from "../../src/stress/histogram.ts";
import { createLatencyRecorder } from "../../src/stress/latency.ts";

describe("latencyBuckets", () => {
  it("has none where nothing was recorded", () => {
    expect(latencyBuckets([])).toEqual([]);
  });

  it("has one for a single value", () => {
    const buckets = latencyBuckets([{ valueUs: 1_234, count: 5 }]);
    expect(buckets).toEqual([{ fromMs: 1.23, toMs: 1.24, count: 5 }]);
  });

  it("spreads a thousandfold range over bars of equal ratio", () => {
    const recorded = [1_000, 10_000, 100_000, 1_000_000].map((valueUs) => ({ valueUs, count: 1 }));
    const buckets = latencyBuckets(recorded, 3);
    expect(buckets).toEqual([
      { fromMs: 1, toMs: 10, count: 1 },
      { fromMs: 10, toMs: 100, count: 1 },
      { fromMs: 100, toMs: 1000, count: 2 },
    ]);
  });

  it("holds every value exactly once, between the edges it prints, without gaps", () => {
    const values = array(
      record({
        valueUs: integer({ min: 0, max: 3_600_000_000 }),
        count: integer({ min: 1, max: 99 }),
      }),
      { minLength: 1, maxLength: 60 },
    );
    void assert(
      property(values, integer({ min: 1, max: 20 }), (recorded, bucketsMax) => {
        const buckets = latencyBuckets(recorded, bucketsMax);
        expect(buckets.length).toBeLessThanOrEqual(bucketsMax);
        buckets.forEach(({ fromMs, toMs, count }, index) => {
          expect(fromMs).toBeLessThan(toMs);
          if (index > 0) expect(fromMs).toBe(buckets[index - 1]?.toMs);
          const isLast = index === buckets.length - 1;
          const inside = recorded.filter(({ valueUs }) => {
            const below = isLast ? valueUs / 1000 <= toMs : valueUs / 1000 < toMs;
            return valueUs / 1000 >= fromMs && below;
          });
          expect(count).toBe(inside.reduce((sum, value) => sum + value.count, 0));
        });
        const all = recorded.reduce((sum, { count }) => sum + count, 0);
        expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(all);
      }),
    );
  });
});

describe("createLatencyRecorder", () => {
  it("gives zeros where nothing was recorded", () => {
    const { percentiles, recorded, count } = createLatencyRecorder();
    expect(percentiles()).toEqual({ p50: 0, p90: 0, p99: 0, max: 0 });
    expect(recorded()).toEqual([]);
    expect(count()).toBe(0);
  });

  it("gives percentiles in milliseconds, exact to a thousandth", () => {
    const latency = createLatencyRecorder();
    for (let ms = 1; ms <= 1_000; ms++) latency.record(ms);
    const { p50, p90, p99, max } = latency.percentiles();
    expect(Math.abs(p50 / 500 - 1)).toBeLessThan(0.002);
    expect(Math.abs(p90 / 900 - 1)).toBeLessThan(0.002);
    expect(Math.abs(p99 / 990 - 1)).toBeLessThan(0.002);
    expect(Math.abs(max / 1_000 - 1)).toBeLessThan(0.002);
    expect(latency.recorded().reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
  });

  it("takes what is shorter than a microsecond and longer than an hour", () => {
    const latency = createLatencyRecorder();
    latency.record(0);
    latency.record(10 ** 12);
    expect(latency.count()).toBe(2);
    expect(latency.percentiles().max).toBe(3_600_000);
  });
});
