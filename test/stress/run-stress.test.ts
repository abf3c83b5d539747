import { afterEach, describe, expect, it } from "vitest";
import { probeServer } from "../../src/stress/probe.ts";
import type { StressProgress } from "../../src/stress/progress.ts";
import { runStress } from "../../src/stress/run-stress.ts";
import type { StressOptions } from "../../src/stress/stress-options.ts";
import type { StressReport } from "../../src/stress/stress-report.ts";
import {
  type FakeServer,
  startServer,
  type Wrong,
} from "../support/server/untrustworthy-server.ts";

const servers: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(wrong?: Wrong, every?: number): Promise<FakeServer> {
  const server = await startServer(wrong, every);
  servers.push(server);
  return server;
}

/** 100 withdrawals of 2 from 100: 50 succeed and 50 are refused, 20 at a time. */
const standard = { count: 100, concurrency: 20, amount: 2, balance: 100 };

async function stress(wrong?: Wrong, options: Partial<StressOptions> = {}): Promise<StressReport> {
  const { url } = await serve(wrong);
  return runStress({ url, ...standard, ...options });
}

describe("an honest server passes", () => {
  it("with exact numbers", async () => {
    const server = await serve();
    const report = await runStress({ url: server.url, ...standard });
    expect(report).toMatchObject({
      url: `${server.url}/`,
      amount: 2,
      requests: 100,
      sent: 100,
      concurrency: 20,
      sockets: 20,
      succeeded: 50,
      insufficientFunds: 50,
      failed: 0,
      failures: [],
      expected: { succeeded: 50, insufficientFunds: 50 },
      user: { id: 1, balanceBefore: 100, balanceAfter: 0 },
      journal: { entries: 51, sum: 0, gapFree: true },
      interrupted: false,
      findings: [],
      verdict: "pass",
    });
    expect(server.received()).toBe(100);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it("with latencies and a histogram that hold every answer", async () => {
    const { latencyMs, histogram, durationMs, requestsPerSecond } = await stress();
    expect(latencyMs.p50).toBeGreaterThan(0);
    expect(latencyMs.p50).toBeLessThanOrEqual(latencyMs.p90);
    expect(latencyMs.p90).toBeLessThanOrEqual(latencyMs.p99);
    expect(latencyMs.p99).toBeLessThanOrEqual(latencyMs.max);
    expect(latencyMs.max).toBeLessThanOrEqual(durationMs + 1);
    expect(requestsPerSecond).toBeGreaterThan(0);
    expect(histogram.reduce((sum, { count }) => sum + count, 0)).toBe(100);
  });

  it.each([1, 7, 100])("at concurrency %i", async (concurrency) => {
    const report = await stress(undefined, { concurrency });
    expect(report).toMatchObject({ concurrency, sockets: concurrency, verdict: "pass" });
  });

  it("opens no more sockets than there are requests", async () => {
    const report = await stress(undefined, { concurrency: 1_000, count: 10 });
    expect(report).toMatchObject({ concurrency: 10, sockets: 10, succeeded: 10, verdict: "pass" });
  });

  it("where the amount does not divide the balance", async () => {
    const report = await stress(undefined, { amount: 3 });
    expect(report).toMatchObject({
      succeeded: 33,
      insufficientFunds: 67,
      user: { balanceAfter: 1 },
      journal: { entries: 34, sum: 1 },
      verdict: "pass",
    });
  });

  it("where nothing can be taken", async () => {
    const report = await stress(undefined, { balance: 0 });
    expect(report).toMatchObject({
      succeeded: 0,
      insufficientFunds: 100,
      journal: { entries: 0, sum: 0, gapFree: true },
      verdict: "pass",
    });
  });

  it("with a journal of several pages", async () => {
    const report = await stress(undefined, { balance: 5_000, count: 2_500, concurrency: 50 });
    expect(report).toMatchObject({
      succeeded: 2_500,
      journal: { entries: 2_501, sum: 0, gapFree: true },
      verdict: "pass",
    });
  });

  it("with a given user, of whose long journal only the new part counts", async () => {
    const server = await serve();
    const userId = server.addUser(100, 3_000);
    const given = { ...standard, balance: undefined, userId };
    const report = await runStress({ url: server.url, ...given, count: 40 });
    expect(report).toMatchObject({
      succeeded: 40,
      user: { id: userId, balanceBefore: 100, balanceAfter: 20 },
      journal: { entries: 40, sum: -80, gapFree: true },
      verdict: "pass",
    });
    const again = await runStress({ url: server.url, ...given, count: 40 });
    expect(again).toMatchObject({ succeeded: 10, insufficientFunds: 30, verdict: "pass" });
  });

  it("that closes each connection after its answer", async () => {
    const report = await stress("closesEachConnection");
    expect(report).toMatchObject({ succeeded: 50, insufficientFunds: 50, failed: 0 });
    expect(report.verdict).toBe("pass");
  });

  it("behind a path", async () => {
    const { url } = await serve();
    const report = await runStress({ url: `${url}/prefix/`, ...standard });
    expect(report.verdict).toBe("pass");
  });

  it("with its progress told phase by phase", async () => {
    const { url } = await serve();
    const seen: StressProgress[] = [];
    await runStress({ url, ...standard }, (progress) => seen.push(progress));
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual([
      "funding",
      "opening",
      "firing",
      "reading",
    ]);
    expect(seen.findLast(({ phase }) => phase === "opening")).toMatchObject({
      done: 20,
      total: 20,
    });
    expect(seen.findLast(({ phase }) => phase === "firing")).toMatchObject({
      done: 100,
      total: 100,
      failed: 0,
    });
  });
});

describe("a server that is wrong about money fails", () => {
  const cases: [Wrong, Partial<StressReport>, RegExp[]][] = [
    ["succeedsWithoutDebit", { failed: 0 }, [/answered already/, /^Journal entries/]],
    ["debitsTwice", { failed: 0 }, [/^Successes: expected 50, seen 4\d/, /^Journal entries/]],
    ["debitsWithoutEntry", { failed: 0 }, [/where \d+ and an amount/, /^Journal entries/]],
    ["hidesBalance", { succeeded: 50 }, [/^Balance after: expected 0, seen 1 /]],
    ["forgetsEntry", { succeeded: 50 }, [/^Journal entries: expected 51, seen 50/, /follows/]],
    ["duplicatesVersion", { succeeded: 50 }, [/version 2 follows version 2/]],
    ["wrongEntryBalance", { succeeded: 50 }, [/version 3 says balance 96 where 99/]],
    ["wrongEntryAmount", { succeeded: 50 }, [/amounts of -2 only, seen 1 /, /^Sum of/]],
    ["endlessJournal", { succeeded: 50 }, [/^Journal: more than 1,100 entries/]],
    ["noJournal", { journal: null }, [/^Not read back: .*503 DATABASE_UNAVAILABLE/]],
  ];
  it.each(cases)("%s", async (wrong, part, findings) => {
    const report = await stress(wrong);
    expect(report).toMatchObject({ ...part, failures: [], verdict: "fail" });
    for (const finding of findings)
      expect(report.findings).toContainEqual(expect.stringMatching(finding));
  });

  it("refusesTooEarly", async () => {
    const report = await stress("refusesTooEarly", { count: 50 });
    expect(report).toMatchObject({ succeeded: 45, insufficientFunds: 5, failed: 0 });
    expect(report.findings).toEqual([
      "Successes: expected 50, seen 45",
      "INSUFFICIENT_FUNDS: expected 0, seen 5",
    ]);
    expect(report.verdict).toBe("fail");
  });
});

describe("any other answer is neither a success nor a refusal", () => {
  it.each<[Wrong, string]>([
    ["overloaded", "503 OVERLOADED"],
    ["refusesWithOtherCode", "422 BALANCE_LIMIT_EXCEEDED"],
    ["refusesUnder400", "400 INSUFFICIENT_FUNDS"],
    ["htmlError", "502 without a code"],
    ["escapeCode", "500 without a code"],
    ["created201", "201 without a code"],
    ["sellsBelowZero", "malformed 200"],
    ["brokenJson", "malformed 200"],
    ["successFalse", "malformed 200"],
    ["wrongId", "malformed 200"],
    ["wrongAmount", "malformed 200"],
    ["wrongPreviousBalance", "malformed 200"],
  ])("%s", async (wrong, cause) => {
    // 50 for 100: every one could succeed, so the five wrong ones are the only ones missing.
    const report = await stress(wrong, { count: 50 });
    expect(report).toMatchObject({
      succeeded: 45,
      insufficientFunds: 0,
      failed: 5,
      failures: [{ kind: "answer", cause, count: 5 }],
      verdict: "fail",
    });
    expect(report.findings).toContain(`Any other answer: expected 0, seen 5 (${cause}: 5)`);
  });

  it("and says how many of them were applied all the same", async () => {
    const report = await stress("brokenJson", { count: 40 });
    expect(report.findings).toContain(
      "Balance after: expected 28, seen 20 (100 - 36 x 2); " +
        "as if 4 of the 4 failed requests had been applied",
    );
  });

  it("and has its causes kept to a bounded number", async () => {
    const { url } = await serve("newCodeEachTime", 1);
    const report = await runStress({ url, ...standard });
    expect(report.failed).toBe(100);
    expect(report.failures).toHaveLength(51);
    expect(report.failures[0]).toEqual({ kind: "answer", cause: "others", count: 50 });
  });
});

describe("no answer is an unknown outcome, and nothing is sent twice", () => {
  it.each<[Wrong, string]>([
    ["resetsBefore", "ECONNRESET"],
    ["resetsAfter", "ECONNRESET"],
    ["notHttp", "malformed answer"],
    ["cutsAnswerShort", "connection closed"],
    ["hangsBefore", "timeout"],
    ["hangsAfter", "timeout"],
  ])("%s", async (wrong, cause) => {
    const server = await serve(wrong);
    const { url } = server;
    // Long enough that nothing but what hangs is ever given up on, on a busy machine too.
    const report = await runStress({ url, ...standard, count: 50, timeoutMs: 2_000 });
    expect(report).toMatchObject({
      sent: 50,
      succeeded: 45,
      insufficientFunds: 0,
      failed: 5,
      failures: [{ kind: "noAnswer", cause, count: 5 }],
      verdict: "fail",
    });
    expect(report.findings).toContain(
      `No answer, so the outcome is unknown: expected 0, seen 5 (${cause}: 5)`,
    );
    expect(server.received()).toBe(50);
  });

  it("where the server goes away in the middle", async () => {
    const report = await stress("goesAway", { concurrency: 5, timeoutMs: 1_000 });
    expect(report.verdict).toBe("fail");
    expect(report.sent).toBe(100);
    expect(report.succeeded + report.insufficientFunds + report.failed).toBe(100);
    expect(report.failures.map(({ kind }) => kind)).not.toContain("answer");
    expect(report.failures.map(({ cause }) => cause)).toContain("ECONNREFUSED");
    expect(report).toMatchObject({ user: { balanceAfter: null }, journal: null });
    expect(report.findings.join("\n")).toMatch(/Not read back: GET .* no answer \(ECONNREFUSED\)/);
  });
});

describe("an abort", () => {
  it("in the middle reports what was seen until then", async () => {
    const server = await serve("hangsAfter", 10);
    const abort = new AbortController();
    const running = runStress(
      { url: server.url, ...standard, balance: 10_000, count: 5_000, signal: abort.signal },
      ({ phase }) => phase === "firing" && setTimeout(() => abort.abort(), 50),
    );
    const report = await running;
    expect(report).toMatchObject({ interrupted: true, verdict: "fail", requests: 5_000 });
    expect(report.failures).toEqual([
      { kind: "noAnswer", cause: "interrupted", count: report.failed },
    ]);
    expect(report.sent).toBeLessThan(5_000);
    expect(report.sent).toBe(report.succeeded + report.insufficientFunds + report.failed);
    expect(report.user?.balanceAfter).toBe(10_000 - 2 * report.sent);
    expect(report.findings[0]).toMatch(/^Interrupted: [\d,]+ of 5,000 requests were sent/);
    expect(server.received()).toBe(report.sent);
  });

  it("before anything was sent rejects with its reason", async () => {
    const { url } = await serve();
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(runStress({ url, ...standard, signal })).rejects.toThrow("stop");
  });
});

describe("what cannot begin throws", () => {
  it("where nobody listens", async () => {
    const server = await serve();
    await server.close();
    await expect(runStress({ url: server.url, ...standard })).rejects.toMatchObject({
      code: "SERVER_FAILED",
      message: expect.stringMatching(/^POST http.*\/api\/users: no answer \(ECONNREFUSED\)$/),
    });
  });

  it("where the given user does not exist", async () => {
    const { url } = await serve();
    const given = { ...standard, balance: undefined, userId: 99 };
    await expect(runStress({ url, ...given })).rejects.toMatchObject({ code: "USER_NOT_FOUND" });
  });

  it.each<[string, Partial<StressOptions>]>([
    ["count", { count: 0 }],
    ["count", { count: 1.5 }],
    ["concurrency", { concurrency: -1 }],
    ["amount", { amount: 0 }],
    ["amount", { amount: Number.NaN }],
    ["balance", { balance: -1 }],
    ["userId", { userId: 0 }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["either a balance or a userId", { userId: 1 }],
    ["either a balance or a userId", { balance: undefined }],
    ["url", { url: "ftp://127.0.0.1" }],
    ["url", { url: "127.0.0.1:3000" }],
  ])("where the options make no sense: %s %o", async (named, options) => {
    const run = runStress({ url: "http://127.0.0.1:1", ...standard, ...options });
    await expect(run).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining(named),
    });
  });
});

describe("probeServer", () => {
  it("tells a balancectl from another server and from nothing", async () => {
    const server = await serve();
    expect(await probeServer(server.url)).toBe("balancectl");
    expect(await probeServer(`${server.url}/elsewhere`)).toBe("other");
    await server.close();
    expect(await probeServer(server.url)).toBe("nothing");
  });
});
