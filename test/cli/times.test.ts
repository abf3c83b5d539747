/** Times and durations as people write them. */
import { expect, test } from "vitest";
import * as is from "../../src/cli/arguments.ts";
import { secondsIn } from "../../src/cli/durations.ts";
import { readMoment } from "../../src/cli/times.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { commandLine } from "../support/server/command-line.ts";

const now = Date.parse("2026-11-27T13:45:10.123Z");

test.each([
  ["2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00.000Z"],
  ["2026-01-31", "2026-01-31T00:00:00.000Z"],
  ["2028-02-29", "2028-02-29T00:00:00.000Z"],
  ["now", "2026-11-27T13:45:10.123Z"],
  ["today", "2026-11-27T00:00:00.000Z"],
  ["yesterday", "2026-11-26T00:00:00.000Z"],
  ["tomorrow", "2026-11-28T00:00:00.000Z"],
  ["1h", "2026-11-27T12:45:10.123Z"],
  ["1d12h", "2026-11-26T01:45:10.123Z"],
  ["2w", "2026-11-13T13:45:10.123Z"],
])("%s is %s", (text, moment) => {
  expect(readMoment(text, "--from", now).toISOString()).toBe(moment);
});

test.each([
  ["2026-02-30", "--from: there is no day 2026-02-30"],
  ["2026-13-01", "--from: there is no day 2026-13-01"],
  ["27.11.2026", /^--from must be an RFC 3339 time .*; or a day \(2026-01-31\), today, /],
  ["1y", /^--from must be an RFC 3339 time/],
  ["999999999w", /^--from must be an RFC 3339 time/],
  ["constructor", /^--from must be an RFC 3339 time/],
  ["", /^--from must be an RFC 3339 time/],
])("%j is none", (text, message) => {
  expect(() => readMoment(text, "--from", now)).toThrow(message);
});

test.each([
  ["90s", 90],
  ["15m", 900],
  ["1h30m", 5_400],
  ["7d", 604_800],
  ["2w", 1_209_600],
  ["90", undefined],
  ["1.5h", undefined],
  ["-1h", undefined],
  ["h", undefined],
])("a duration: %s", (text, seconds) => {
  expect(secondsIn(text)).toBe(seconds);
});

test("flags that take seconds take them with units too", () => {
  expect([is.lifetime("1h"), is.lifetime("60"), is.timeoutSeconds("2m")]).toEqual([3_600, 60, 120]);
  expect(is.waitSeconds("0")).toBe(0);
  for (const text of ["0s", "4000d", "1.5", "", "soon"]) {
    expect(() => is.lifetime(text)).toThrow("or a time like 90s, 1h, 7d.");
  }
});

test("a hold of an hour, and the journal of the last hour", async () => {
  const cli = commandLine(await createTestDatabase());
  type Made = { data: { createdAt: string; expiresAt: string } };
  const { data } = await cli.json<Made>("hold", "1", "5", "--expires-in", "1h");
  expect(Date.parse(data.expiresAt) - Date.parse(data.createdAt)).toBe(3_600_000);
  const { stdout } = await cli.run("history", "1", "--json", "--from", "1h", "--order", "asc");
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).kind),
  ).toEqual(["opening", "hold"]);
  expect((await cli.run("history", "1", "--json", "--to", "2000-01-01")).stdout).toBe("");
});
