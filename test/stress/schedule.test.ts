import { assert, double, integer, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { createSchedule } from "../../src/stress/schedule.ts";

describe("createSchedule", () => {
  it("spaces requests evenly, the first one at once and none at the very end", () => {
    const { count, dueMs } = createSchedule(500, 5);
    expect(count).toBe(2_500);
    expect([0, 1, 2, 499, 500, 2_499].map(dueMs)).toEqual([0, 2, 4, 998, 1_000, 4_998]);
  });

  it("does not drift where a second cannot be divided evenly", () => {
    const { dueMs } = createSchedule(3, 86_400);
    expect(dueMs(1)).toBe(1_000 / 3);
    expect(dueMs(3)).toBe(1_000);
    expect(dueMs(3 * 86_399)).toBe(86_399_000);
  });

  it("counts what is due", () => {
    const { dueCount } = createSchedule(500, 5);
    const times = [-1, 0, 1.99, 2, 3.5, 4_997.9, 4_998, 5_000, 1e9];
    expect(times.map(dueCount)).toEqual([0, 1, 1, 2, 2, 2_499, 2_500, 2_500, 2_500]);
  });

  it("counts a request from its own time on, to the last bit, at any rate", () => {
    const rates = integer({ min: 1, max: 1_000_000 });
    const indexes = integer({ min: 0, max: 99_999_999 });
    void assert(
      property(rates, indexes, double({ min: 0, max: 1, noNaN: true }), (rate, any, part) => {
        const { count, dueMs, dueCount } = createSchedule(rate, 100);
        const index = any % count;
        expect(dueCount(dueMs(index))).toBe(index + 1);
        expect(dueCount(dueMs(index) * (1 - Number.EPSILON))).toBe(index === 0 ? 1 : index);
        const elapsedMs = part * 110_000;
        const due = dueCount(elapsedMs);
        expect(dueMs(due - 1)).toBeLessThanOrEqual(elapsedMs);
        if (due < count) expect(dueMs(due)).toBeGreaterThan(elapsedMs);
      }),
    );
  });
});
