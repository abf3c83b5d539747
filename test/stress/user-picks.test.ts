import { describe, expect, it } from "vitest";
import { countPicks, createPicker } from "../../src/stress/user-picks.ts";

const { signal } = new AbortController();

describe("createPicker", () => {
  it("gives the same users in the same order for the same seed", () => {
    const picks = { users: 20, skew: 1.1, seed: 7 };
    const first = Array.from({ length: 16 }, createPicker(picks));
    expect(first).toEqual([0, 0, 18, 5, 2, 1, 2, 0, 3, 6, 0, 0, 7, 2, 0, 1]);
    expect(Array.from({ length: 16 }, createPicker(picks))).toEqual(first);
    expect(Array.from({ length: 16 }, createPicker({ ...picks, seed: 8 }))).not.toEqual(first);
  });

  it("has no choice with one user", () => {
    const pick = createPicker({ users: 1, skew: 1.1, seed: 7 });
    expect([pick(), pick(), pick()]).toEqual([0, 0, 0]);
  });
});

describe("countPicks", () => {
  it.each([
    [{ users: 10, skew: 0, seed: 1 }, [1005, 1041, 961, 1005, 998, 1006, 1018, 988, 976, 1002]],
    [{ users: 10, skew: 1.1, seed: 1 }, [3728, 1750, 1134, 820, 632, 526, 403, 384, 342, 281]],
    [{ users: 3, skew: 2, seed: 2 ** 32 - 1 }, [7382, 1797, 821]],
    [{ users: 1, skew: 2, seed: 1 }, [10_000]],
    // The same numbers come out of a separate implementation of the generator and of the law.
  ])("of %o is exactly %o", async (picks, counts) => {
    expect([...(await countPicks(picks, 10_000, signal))]).toEqual(counts);
  });

  it("counts what the picker gives", async () => {
    const picks = { users: 50, skew: 0.8, seed: 3 };
    const counts = new Array<number>(50).fill(0);
    const pick = createPicker(picks);
    for (let i = 0; i < 5_000; i++) {
      const user = pick();
      counts[user] = (counts[user] ?? 0) + 1;
    }
    expect([...(await countPicks(picks, 5_000, signal))]).toEqual(counts);
  });

  it.each([0, 0.5, 1, 1.1, 2])("has the shape of Zipf's law at a skew of %d", async (skew) => {
    const users = 100;
    const requests = 200_000;
    const counts = await countPicks({ users, skew, seed: 12_345 }, requests, signal);
    const weights = Array.from({ length: users }, (_, index) => 1 / (index + 1) ** skew);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, user) => {
      const share = weight / total;
      const deviation = Math.sqrt(requests * share * (1 - share));
      const off = Math.abs((counts[user] ?? 0) - requests * share);
      // The seed is fixed, so this holds for good or never; 4 deviations are one in 16,000.
      expect(off, `user ${user}`).toBeLessThan(4 * deviation);
    });
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(requests);
  });

  it("stops when aborted", async () => {
    const aborted = AbortSignal.abort(new Error("stop"));
    const counting = countPicks({ users: 2, skew: 0, seed: 1 }, 100_000_000, aborted);
    await expect(counting).rejects.toThrow("stop");
  });
});
