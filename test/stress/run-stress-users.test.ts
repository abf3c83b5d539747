import { afterEach, describe, expect, it } from "vitest";
import { runStress } from "../../src/stress/run-stress.ts";
import type { StressOptions } from "../../src/stress/stress-options.ts";
import { countPicks } from "../../src/stress/user-picks.ts";
import {
  type FakeServer,
  startServer,
  type Wrong,
} from "../support/server/untrustworthy-server.ts";

const servers: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(...args: Parameters<typeof startServer>): Promise<FakeServer> {
  const server = await startServer(...args);
  servers.push(server);
  return server;
}

/** 600 withdrawals of 2 from eight users who have 100 each: the first of them get too many. */
const standard = {
  count: 600,
  concurrency: 20,
  amount: 2,
  balance: 100,
  users: 8,
  skew: 1.1,
  seed: 1,
} satisfies Partial<StressOptions>;
const open = { ...standard, count: undefined, rate: 600, durationSeconds: 1 };

async function expectedOf({ users, skew, seed }: typeof standard, balance: number) {
  const counts = await countPicks({ users, skew, seed }, 600, new AbortController().signal);
  return [...counts].map((requests) => ({
    requests,
    succeeded: Math.min(requests, Math.floor(balance / 2)),
  }));
}

describe("several users of an honest server", () => {
  it.each([
    ["in a closed loop", standard],
    ["in an open loop", open],
  ])("pass with the exact tally of each, %s", async (_name, options) => {
    const server = await serve();
    const report = await runStress({ url: server.url, ...options });
    const each = await expectedOf(standard, 100);
    const succeeded = each.reduce((sum, user) => sum + user.succeeded, 0);
    expect(each.filter((user) => user.succeeded < user.requests)).not.toEqual([]);
    expect(each.filter((user) => user.succeeded < 50)).not.toEqual([]);
    expect(report).toMatchObject({
      requests: 600,
      sent: 600,
      sockets: 20,
      succeeded,
      insufficientFunds: 600 - succeeded,
      failed: 0,
      expected: { succeeded, insufficientFunds: 600 - succeeded },
      user: null,
      users: { count: 8, balanceBefore: 800, balanceAfter: 800 - 2 * succeeded },
      skew: 1.1,
      seed: 1,
      journal: { entries: 8 + succeeded, sum: 800 - 2 * succeeded, gapFree: true },
      findings: [],
      verdict: "pass",
    });
    expect(server.received()).toBe(600);
    each.forEach((user, index) => {
      const { balance, entries } = server.user(index + 1);
      expect(balance).toBe(100 - 2 * user.succeeded);
      expect(entries).toHaveLength(1 + user.succeeded);
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it("pass where there are more of them than requests, and than connections to fund them", async () => {
    const { url } = await serve();
    const report = await runStress({ url, ...standard, users: 100, count: 10, skew: 0 });
    expect(report).toMatchObject({
      succeeded: 10,
      users: { count: 100, balanceBefore: 10_000, balanceAfter: 9_980 },
      journal: { entries: 110, sum: 9_980 },
      verdict: "pass",
    });
  });

  it("pass where none of them has anything", async () => {
    const { url } = await serve();
    const report = await runStress({ url, ...standard, balance: 0 });
    expect(report).toMatchObject({ succeeded: 0, insufficientFunds: 600, verdict: "pass" });
  });

  it("are told about one by one", async () => {
    const { url } = await serve();
    const seen = new Map<string, number>();
    await runStress({ url, ...standard }, ({ phase, done, total }) => {
      if (phase === "funding" || phase === "reading") expect(total).toBe(8);
      seen.set(phase, done);
    });
    expect(Object.fromEntries(seen)).toEqual({ funding: 8, opening: 20, firing: 600, reading: 8 });
  });

  it("get a seed that the report names where none was given", async () => {
    const { url } = await serve();
    const { seed } = await runStress({ url, ...standard, seed: undefined });
    expect(Number.isInteger(seed)).toBe(true);
    const again = await runStress({ url, ...standard, seed: seed ?? undefined });
    expect(again).toMatchObject({ seed, verdict: "pass" });
  });
});

describe("a server that is wrong about one of them is found out, and the user named", () => {
  it.each<[Wrong, RegExp[]]>([
    ["succeedsWithoutDebit", [/^User 3: .*answered already/, /^User 3: Journal entries/]],
    ["debitsTwice", [/^User 3: Journal entries/]],
    ["debitsWithoutEntry", [/^User 3: Journal: .* where \d+ and an amount/]],
    ["refusesTooEarly", [/^Successes: /, /^User 3: INSUFFICIENT_FUNDS: expected 0, seen /]],
    [
      "brokenJson",
      [/^Any other answer: /, /^User 3: Balance after: .*as if \d+ of the \d+ failed/],
    ],
    ["hidesBalance", [/^User 3: Balance after: expected 10, seen 11 /]],
    ["forgetsEntry", [/^User 3: Journal entries/]],
    ["noJournal", [/^User 3: Not read back: .*503 DATABASE_UNAVAILABLE/]],
  ])("%s", async (wrong, findings) => {
    // 45 of the 300 are for the third user: what it has lasts for all of them.
    const { url } = await serve(wrong, 10, 3);
    const report = await runStress({ url, ...standard, count: 300 });
    expect(report.verdict).toBe("fail");
    for (const finding of findings) {
      expect(report.findings).toContainEqual(expect.stringMatching(finding));
    }
    const named = report.findings.flatMap((finding) => /^User \d+/.exec(finding) ?? []);
    expect(new Set(named)).toEqual(new Set(["User 3"]));
  });

  it("also where the sums are right: it takes from one what another should pay", async () => {
    const { url } = await serve("debitsSomebodyElse", 1, 3);
    // Enough for everybody: not one is refused, and the totals are as they should be.
    const report = await runStress({ url, ...standard, balance: 10_000 });
    expect(report).toMatchObject({
      succeeded: 600,
      expected: { succeeded: 600 },
      users: { balanceBefore: 80_000, balanceAfter: 80_000 - 2 * 600 },
      journal: { entries: 608, sum: 80_000 - 2 * 600, gapFree: true },
      verdict: "fail",
    });
    const [, , third] = await expectedOf(standard, 10_000);
    const requests = third?.requests ?? 0;
    const balance = (10_000 - 2 * requests).toLocaleString("en-US");
    expect(report.findings).toContain(
      `User 3: Balance after: expected ${balance}, seen 10,000 (10,000 - ${requests} x 2)`,
    );
    expect(report.findings).toContain(`User 3: Journal entries: expected ${requests + 1}, seen 1`);
    expect(report.findings).toContainEqual(expect.stringMatching(/^User 2: Balance after: /));
    expect(report.findings.join("\n")).not.toMatch(/User [14-8]/);
  });
});

describe("an open loop", () => {
  const single = { ...open, users: 1, skew: undefined, seed: undefined };

  it("keeps the report of one user as it is, and adds its schedule", async () => {
    const { url } = await serve();
    const report = await runStress({ url, ...single });
    expect(report).toMatchObject({
      mode: "open",
      requests: 600,
      sent: 600,
      rate: 600,
      durationSeconds: 1,
      concurrency: 20,
      sockets: 20,
      succeeded: 50,
      insufficientFunds: 550,
      user: { id: 1, balanceBefore: 100, balanceAfter: 0 },
      users: { count: 1, balanceBefore: 100, balanceAfter: 0 },
      skew: 0,
      seed: null,
      journal: { entries: 51, sum: 0, gapFree: true },
      verdict: "pass",
    });
    expect(report.startsPerSecond).toBeLessThanOrEqual(600);
    expect(report.startDelayMs?.max).toBeLessThanOrEqual(report.latencyMs.max);
    // The last one is due two milliseconds before the end of the second.
    expect(report.durationMs).toBeGreaterThanOrEqual(998);
    expect(report.histogram.reduce((sum, { count }) => sum + count, 0)).toBe(600);
  });

  it("shows a stall in the percentiles of the report", async () => {
    const server = await serve();
    server.stallAt(100, 500);
    const report = await runStress({ url: server.url, ...single, rate: 200, durationSeconds: 2 });
    // 100 of 400 requests are due in the stall: a quarter, of which two fifths take 300 ms or more.
    expect(report).toMatchObject({ sent: 400, failed: 0, verdict: "pass" });
    expect(report.latencyMs.p90).toBeGreaterThan(280);
    expect(report.latencyMs.max).toBeGreaterThan(490);
  });

  it("counts those for which no socket was free", async () => {
    const server = await serve();
    server.stallAt(100, 500);
    const stalled = { ...single, rate: 200, durationSeconds: 2, concurrency: 2 };
    const report = await runStress({ url: server.url, ...stalled });
    expect(report).toMatchObject({ sent: 400, sockets: 2, verdict: "pass" });
    expect(report.lateStarts).toBeGreaterThanOrEqual(96);
    expect(report.backlogMax).toBeGreaterThanOrEqual(96);
    expect(report.startDelayMs?.max).toBeGreaterThan(480);
  });

  it("ends a timeout after its last intended start, and fails with what it could not send", async () => {
    const server = await serve("hangsBefore", 1);
    const lost = { ...single, rate: 100, concurrency: 2, timeoutMs: 1_000 };
    const report = await runStress({ url: server.url, ...lost });
    // Each request takes its socket for a second or more, and none leaves after the second second.
    expect(report.sent).toBeGreaterThanOrEqual(2);
    expect(report.sent).toBeLessThanOrEqual(6);
    expect(server.received()).toBeLessThanOrEqual(report.sent);
    expect(report).toMatchObject({ failed: report.sent, interrupted: false, verdict: "fail" });
    expect(report.findings).toContain(`Requests sent: expected 100, seen ${report.sent}`);
  });

  it("that cannot send all does not blame each of its users for it", async () => {
    const server = await serve();
    server.stallAt(100, 3_000);
    const late = { ...open, rate: 300, balance: 10_000, concurrency: 2, timeoutMs: 1_000 };
    const report = await runStress({ url: server.url, ...late });
    // Both sockets hang for a second or more, and each once more before the grace is over.
    expect(report.sent).toBeLessThanOrEqual(104);
    expect(report.findings).toContain(`Requests sent: expected 300, seen ${report.sent}`);
    const blamed = report.findings.filter((finding) => /^User \d+: Successes/.test(finding));
    expect(blamed.length).toBeGreaterThan(0);
    expect(blamed.length).toBeLessThanOrEqual(4);
  });

  it("that is aborted reports what was seen until then", async () => {
    const server = await serve();
    const abort = new AbortController();
    const report = await runStress(
      { url: server.url, ...open, durationSeconds: 60, signal: abort.signal },
      ({ phase }) => phase === "firing" && setTimeout(() => abort.abort(), 50),
    );
    expect(report).toMatchObject({ interrupted: true, requests: 36_000, verdict: "fail" });
    expect(report.sent).toBeLessThan(36_000);
    expect(report.sent).toBe(report.succeeded + report.insufficientFunds + report.failed);
    expect(report.findings[0]).toMatch(/^Interrupted: [\d,]+ of 36,000 requests were sent/);
  });

  it("is not what a closed loop reports", async () => {
    const { url } = await serve();
    expect(await runStress({ url, ...standard, users: 1 })).toMatchObject({
      mode: "closed",
      rate: null,
      durationSeconds: null,
      startsPerSecond: null,
      lateStarts: null,
      backlogMax: null,
      startDelayMs: null,
    });
  });
});

describe("options of these make sense, or nothing begins", () => {
  it.each<[string, Partial<StressOptions>]>([
    ["either a count or a rate", { rate: 10, durationSeconds: 1 }],
    ["either a count or a rate", { count: undefined, rate: 10 }],
    ["either a count or a rate", { count: undefined, durationSeconds: 1 }],
    ["either a count or a rate", { count: undefined }],
    ["rate must", { ...open, rate: 0 }],
    ["rate must", { ...open, rate: 0.5 }],
    ["durationSeconds", { ...open, durationSeconds: 86_401 }],
    ["rate x duration", { ...open, rate: 1_000_000, durationSeconds: 101 }],
    [
      "concurrency must be at most 40 for a rate of 10",
      { ...open, rate: 10, durationSeconds: 60, concurrency: 41 },
    ],
    ["users", { users: 0 }],
    ["users", { users: 100_001 }],
    ["users x balance", { users: 2, balance: Number.MAX_SAFE_INTEGER }],
    ["either a userId or several users", { users: 2, userId: 1, balance: undefined }],
    ["skew", { skew: -0.1 }],
    ["skew", { skew: Number.NaN }],
    ["seed", { seed: 2 ** 32 }],
  ])("%s: %o", async (named, options) => {
    const run = runStress({ url: "http://127.0.0.1:1", ...standard, ...options });
    await expect(run).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining(named),
    });
  });
});
