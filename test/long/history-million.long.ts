/** `balancectl history` of a million entries: a page at a time, whoever reads and however slowly. */
import { describe, expect, test } from "vitest";
import { createLargeJournal } from "../support/database/large-journal.ts";
import { lineCounter, runWatched } from "../support/server/peak-memory.ts";

const url = await createLargeJournal(1, 1_000_000);

describe.each([
  ["--json", 1_000_000],
  ["--csv", 1_000_001],
  ["--order=asc", 1_000_001],
])("history 1000 %s", (flag, expected) => {
  test("does not sit in memory", async () => {
    const small = lineCounter();
    const few = await runWatched(url, ["history", "1000", flag, "--limit", "1000"], small.add);
    const all = lineCounter();
    const million = await runWatched(url, ["history", "1000", flag], all.add);
    expect([few.code, million.code, all.lines()]).toEqual([0, 0, expected]);
    process.stdout.write(
      `history ${flag}, 1,000,000 entries: ${million.seconds.toFixed(1)} s, ` +
        `peak memory ${million.peakMiB} MiB (1,000 entries: ${few.peakMiB} MiB)\n`,
    );
    expect(million.peakMiB - few.peakMiB).toBeLessThan(150);
  });
});

test("a reader that stops for a while makes the program wait, not fill up", async () => {
  const counter = lineCounter();
  let stops = 0;
  const slow = await runWatched(url, ["history", "1000", "--json"], async (chunk) => {
    counter.add(chunk);
    // Ten times a pause in which a million entries could have been read.
    if (counter.lines() < (stops + 1) * 100_000 - 50_000) return;
    stops += 1;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  });
  expect([slow.code, counter.lines(), stops]).toEqual([0, 1_000_000, 10]);
  process.stdout.write(
    `history --json with a slow reader: ${slow.seconds.toFixed(1)} s, peak memory ${slow.peakMiB} MiB\n`,
  );
  expect(slow.peakMiB).toBeLessThan(300);
});
