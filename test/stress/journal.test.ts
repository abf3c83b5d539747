import { describe, expect, it } from "vitest";
import type { Api, ApiEntry } from "../../src/stress/api.ts";
import { type JournalScope, readJournal } from "../../src/stress/journal.ts";

/** An API that has nothing but a journal, given oldest entry first, in pages of three. */
function journalApi(oldestFirst: readonly ApiEntry[]): Api {
  const newestFirst = [...oldestFirst].reverse();
  const unused = () => Promise.reject(new Error("not part of this test"));
  return {
    createUser: unused,
    readUser: unused,
    async readEntries(_id, _limit, cursor = "0") {
      const start = Number(cursor);
      const entries = newestFirst.slice(start, start + 3);
      const end = start + entries.length;
      return { entries, nextCursor: end < newestFirst.length ? String(end) : null };
    },
    close: () => Promise.resolve(),
  };
}

/** An opening entry of 20 and then withdrawals of 2. */
const entries: ApiEntry[] = [{ version: 1, amount: 20, balance: 20 }];
for (let version = 2; version <= 8; version++) {
  entries.push({ version, amount: -2, balance: 20 - 2 * (version - 1) });
}

const whole: JournalScope = {
  userId: 1,
  sinceVersion: 0,
  sinceBalance: 0,
  change: -2,
  entriesMax: 100,
};
const since = (version: number, balance: number) => ({
  ...whole,
  sinceVersion: version,
  sinceBalance: balance,
});
const replaced = (version: number, part: Partial<ApiEntry>) =>
  entries.map((entry) => (entry.version === version ? { ...entry, ...part } : entry));
const without = (version: number) => entries.filter((entry) => entry.version !== version);

describe("readJournal", () => {
  it("adds up a whole journal", async () => {
    expect(await readJournal(journalApi(entries), whole)).toEqual({
      entries: 8,
      sum: 6,
      gapFree: true,
      chained: true,
      firstBreak: null,
      otherAmounts: 0,
      newestBalance: 6,
      truncated: false,
    });
  });

  it("counts only what is newer than the start", async () => {
    const reading = await readJournal(journalApi(entries), since(5, 12));
    expect(reading).toMatchObject({ entries: 3, sum: -6, gapFree: true, chained: true });
  });

  it("takes an empty journal, and a part to which nothing was added", async () => {
    const nothing = { entries: 0, sum: 0, gapFree: true, chained: true, firstBreak: null };
    expect(await readJournal(journalApi([]), whole)).toMatchObject(nothing);
    expect(await readJournal(journalApi(entries), since(8, 6))).toMatchObject({
      ...nothing,
      newestBalance: 6,
    });
  });

  it.each<[string, ApiEntry[], JournalScope, object]>([
    ["a missing entry", without(4), whole, { gapFree: false, chained: false, entries: 7 }],
    ["a missing newest entry", without(8), whole, { gapFree: true, newestBalance: 8 }],
    ["a missing first entry", without(1), whole, { gapFree: false, chained: false }],
    ["a missing start", without(5), since(5, 12), { gapFree: false }],
    ["a start that changed", replaced(5, { balance: 13 }), since(5, 12), { chained: false }],
    ["a start before the first entry", [], since(5, 12), { gapFree: true, newestBalance: 12 }],
    ["a version twice", [...entries, ...entries.slice(-1)], whole, { gapFree: false, entries: 9 }],
    [
      "a balance off by one",
      replaced(4, { balance: 15 }),
      whole,
      { gapFree: true, chained: false },
    ],
    [
      "an amount off by one",
      replaced(4, { amount: -3 }),
      whole,
      { chained: false, otherAmounts: 1 },
    ],
    [
      "an opening that is not the first balance",
      replaced(1, { amount: 19 }),
      whole,
      { chained: false },
    ],
    ["more entries than there may be", entries, { ...whole, entriesMax: 4 }, { truncated: true }],
  ])("sees %s", async (_name, journal, scope, seen) => {
    expect(await readJournal(journalApi(journal), scope)).toMatchObject(seen);
  });

  it("names the first break, from the newest entry on", async () => {
    const gap = await readJournal(journalApi(without(4)), whole);
    expect(gap.firstBreak).toBe("version 5 follows version 3");
    const chain = await readJournal(journalApi(replaced(4, { balance: 15 })), whole);
    expect(chain.firstBreak).toBe("version 5 says balance 12 where 15 and an amount of -2 give 13");
  });
});
