import { describe, expect, it } from "vitest";
import { createTally } from "../../src/stress/tally.ts";

describe("createTally", () => {
  it("keeps four buckets apart and sorts causes by how often they were seen", () => {
    const tally = createTally(100, 2, [10]);
    tally.add({ kind: "succeeded", balance: 98 }, 1);
    tally.add({ kind: "insufficientFunds" }, 1);
    tally.add({ kind: "answer", cause: "503 OVERLOADED" }, 1);
    tally.add({ kind: "noAnswer", cause: "timeout" }, 1);
    tally.add({ kind: "noAnswer", cause: "timeout" }, 1);
    expect(tally.counts()).toEqual({
      succeeded: 1,
      insufficientFunds: 1,
      failed: 3,
      failures: [
        { kind: "noAnswer", cause: "timeout", count: 2 },
        { kind: "answer", cause: "503 OVERLOADED", count: 1 },
      ],
      answered: { repeated: 0, impossible: 0 },
    });
    expect(tally.failed()).toBe(3);
  });

  it("records the latency of answers only", () => {
    const tally = createTally(100, 2, [10]);
    tally.add({ kind: "insufficientFunds" }, 5);
    tally.add({ kind: "noAnswer", cause: "timeout" }, 30_000);
    expect(tally.latency.count()).toBe(1);
    expect(tally.latency.percentiles().max).toBeLessThan(6);
  });

  it("accepts each link of the chain once, in any order", () => {
    const tally = createTally(1_000, 3, [400]);
    const links = Array.from({ length: 333 }, (_, index) => 1_000 - 3 * (index + 1));
    for (const balance of links.reverse()) tally.add({ kind: "succeeded", balance }, 1);
    expect(tally.counts().answered).toEqual({ repeated: 0, impossible: 0 });
    tally.add({ kind: "succeeded", balance: 997 }, 1);
    tally.add({ kind: "succeeded", balance: 1 }, 1);
    expect(tally.counts().answered).toEqual({ repeated: 2, impossible: 0 });
  });

  it("keeps users apart: the same balance from two of them is no repetition", () => {
    const tally = createTally(100, 2, [10, 3, 0]);
    tally.add({ kind: "succeeded", balance: 98 }, 1, 0);
    tally.add({ kind: "succeeded", balance: 98 }, 1, 1);
    tally.add({ kind: "succeeded", balance: 98 }, 1, 1);
    // The fourth withdrawal: the first user gets ten, the second only three.
    tally.add({ kind: "succeeded", balance: 92 }, 1, 0);
    tally.add({ kind: "succeeded", balance: 92 }, 1, 1);
    tally.add({ kind: "insufficientFunds" }, 1, 1);
    tally.add({ kind: "noAnswer", cause: "timeout" }, 1, 0);
    const none = { succeeded: 0, insufficientFunds: 0, failed: 0 };
    expect([0, 1, 2].map(tally.countsOf)).toEqual([
      { ...none, succeeded: 2, failed: 1, answered: { repeated: 0, impossible: 0 } },
      { ...none, succeeded: 3, insufficientFunds: 1, answered: { repeated: 1, impossible: 1 } },
      { ...none, answered: { repeated: 0, impossible: 0 } },
    ]);
    expect(tally.counts()).toEqual({
      succeeded: 5,
      insufficientFunds: 1,
      failed: 1,
      failures: [{ kind: "noAnswer", cause: "timeout", count: 1 }],
      answered: { repeated: 1, impossible: 1 },
    });
  });

  it.each([100, 97, 102, 78, 0])(
    "calls a balance of %i impossible after ten times 2 from 100",
    (balance) => {
      const tally = createTally(100, 2, [10]);
      tally.add({ kind: "succeeded", balance }, 1);
      expect(tally.counts().answered).toEqual({ repeated: 0, impossible: 1 });
    },
  );
});
