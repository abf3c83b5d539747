import { describe, expect, it } from "vitest";
import { checkFileLimits, parseFileLimits, readFileLimits } from "../src/file-limits.ts";

describe("checkFileLimits", () => {
  it("lets pass what fits, and what nobody knows", () => {
    expect(() => checkFileLimits(10_000, { soft: 10_064, hard: 10_064 })).not.toThrow();
    expect(() => checkFileLimits(10_000, { soft: Infinity, hard: Infinity })).not.toThrow();
    expect(() => checkFileLimits(10_000, { soft: undefined, hard: undefined })).not.toThrow();
  });

  it("says what is needed, what is allowed and the ways out", () => {
    const run = () => checkFileLimits(10_000, { soft: 1_024, hard: 1_048_576 });
    expect(run).toThrow(
      expect.objectContaining({
        code: "INVALID_REQUEST",
        message:
          "10000 sockets at once need 10064 open files, and this process may open 1024. " +
          "Either allow more (ulimit -n 16384) or use --concurrency 900",
      }),
    );
  });

  it("says so where only root can allow more", () => {
    const run = () => checkFileLimits(10_000, { soft: 4_096, hard: 4_096 });
    expect(run).toThrow(/ulimit -n 16384, for which the hard limit needs root\) or .* 4000$/);
  });

  it("proposes a concurrency that is at least one", () => {
    expect(() => checkFileLimits(100, { soft: 20, hard: 20 })).toThrow(/--concurrency 1$/);
    expect(() => checkFileLimits(100, { soft: 114, hard: 114 })).toThrow(/--concurrency 50$/);
  });
});

describe("readFileLimits", () => {
  it("reads this process's limits, and leaves the report's settings as they were", () => {
    const report = process.report as object as { excludeNetwork?: boolean };
    const before = report.excludeNetwork;
    const { soft, hard } = readFileLimits();
    if (process.platform !== "win32") {
      expect(soft).toBeGreaterThan(0);
      expect(hard).toBeGreaterThanOrEqual(soft ?? 0);
    }
    expect(report.excludeNetwork).toBe(before);
  });

  it.each([
    [
      { soft: 1_024, hard: 4_096 },
      { soft: 1_024, hard: 4_096 },
    ],
    [
      { soft: "1024", hard: "unlimited" },
      { soft: 1_024, hard: Infinity },
    ],
    [{}, { soft: undefined, hard: undefined }],
    [undefined, { soft: undefined, hard: undefined }],
  ])("parses %o", (open_files, limits) => {
    expect(parseFileLimits({ userLimits: { open_files } })).toEqual(limits);
    expect(parseFileLimits({})).toEqual({ soft: undefined, hard: undefined });
  });
});
