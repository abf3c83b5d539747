/** `balancectl stress`: its flags, on a real server; what it withdrew is looked up in the tables. */
import { describe, expect, test } from "vitest";
import type { StressReport } from "../../src/stress/stress-report.ts";
import { countPicks } from "../../src/stress/user-picks.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { account, journalFindings } from "../support/oracle/journal.ts";
import { commandLine, failure, usageHint } from "../support/server/command-line.ts";
import { balancectl, startServer } from "../support/server/program.ts";
import { startServer as startUntrustworthy } from "../support/server/untrustworthy-server.ts";

const databaseUrl = await createTestDatabase();
const server = await startServer({ DATABASE_URL: databaseUrl });
const cli = commandLine(databaseUrl);

async function stress(...flags: string[]): Promise<StressReport> {
  return await cli.json("stress", "--url", server.url, ...flags);
}

interface Withdrawals {
  readonly report: StressReport;
  /** How many were made from each user of the run, in the order of their ids. */
  readonly ofEach: readonly number[];
}

/** A run that makes users of its own, and what the tables say of them. */
async function withdraw(...flags: string[]): Promise<Withdrawals> {
  const [last] = await psql(databaseUrl, "SELECT max(id) AS id FROM users");
  const report = await stress(...flags);
  const rows = await psql<{ made: number }>(
    databaseUrl,
    `SELECT count(*)::int - 1 AS made FROM entries WHERE user_id > $1
      GROUP BY user_id ORDER BY user_id`,
    [last?.["id"]],
  );
  expect(await journalFindings(databaseUrl)).toEqual([]);
  return { report, ofEach: rows.map(({ made }) => made) };
}

async function picksOf(users: number, skew: number, seed: number, requests: number) {
  return [...(await countPicks({ users, skew, seed }, requests, new AbortController().signal))];
}

describe("--rate with --duration", () => {
  test("sends so many a second for so long, and no faster", async () => {
    const report = await stress("--rate", "100", "--duration", "1", "--balance", "150");
    expect(report).toMatchObject({
      mode: "open",
      requests: 100,
      sent: 100,
      rate: 100,
      durationSeconds: 1,
      concurrency: 100,
      sockets: 100,
      succeeded: 75,
      insufficientFunds: 25,
      failed: 0,
      users: { count: 1, balanceBefore: 150, balanceAfter: 0 },
      findings: [],
      verdict: "pass",
    });
    // The last of them is due after 990 ms.
    expect(report.durationMs).toBeGreaterThanOrEqual(990);
    expect(report.startsPerSecond).toBeGreaterThan(0);
    expect(report.startsPerSecond).toBeLessThanOrEqual(100);
    expect(await account(databaseUrl, report.user?.id)).toEqual({ balance: 0, entries: 76 });
  });

  test("over as many sockets as --concurrency says, several users too", async () => {
    const flags = ["--rate", "60", "--duration", "2", "--concurrency", "10", "--users", "3"];
    const { report, ofEach } = await withdraw(...flags, "--seed", "4");
    expect(report).toMatchObject({ mode: "open", requests: 120, concurrency: 10, sockets: 10 });
    expect(report).toMatchObject({ succeeded: 120, users: { count: 3 }, verdict: "pass" });
    // The last of them is due after 1,983.3 ms.
    expect(report.durationMs).toBeGreaterThanOrEqual(1_983);
    expect(ofEach).toEqual(await picksOf(3, 0, 4, 120));
  });

  test("is absent from a closed loop", async () => {
    expect(await stress("--count", "5")).toMatchObject({
      mode: "closed",
      requests: 5,
      rate: null,
      durationSeconds: null,
      startsPerSecond: null,
      verdict: "pass",
    });
  });
});

describe("--users", () => {
  test("makes so many, each with the balance asked for, and withdraws from all", async () => {
    const flags = ["--count", "200", "--users", "4", "--balance", "80", "--seed", "9"];
    const { report, ofEach } = await withdraw(...flags);
    // 40 withdrawals of 2 empty one of them.
    const expected = (await picksOf(4, 0, 9, 200)).map((requests) => Math.min(requests, 40));
    const succeeded = expected.reduce((sum, made) => sum + made, 0);
    expect(ofEach).toEqual(expected);
    expect(report).toMatchObject({
      user: null,
      users: { count: 4, balanceBefore: 320, balanceAfter: 320 - 2 * succeeded },
      skew: 0,
      seed: 9,
      succeeded,
      insufficientFunds: 200 - succeeded,
      journal: { entries: 4 + succeeded, sum: 320 - 2 * succeeded, gapFree: true },
      verdict: "pass",
    });
  });

  test("is one unless said otherwise, and then there is nothing to pick", async () => {
    const { report, ofEach } = await withdraw("--count", "20");
    expect(report).toMatchObject({ users: { count: 1 }, skew: 0, seed: null, verdict: "pass" });
    expect(ofEach).toEqual([20]);
  });
});

describe("--skew", () => {
  test("makes the first users be picked more often, by Zipf's law", async () => {
    const flags = ["--count", "400", "--users", "5", "--skew", "1.1", "--seed", "7"];
    const { report, ofEach } = await withdraw(...flags);
    expect(report).toMatchObject({ skew: 1.1, seed: 7, succeeded: 400, verdict: "pass" });
    expect(ofEach).toEqual(await picksOf(5, 1.1, 7, 400));
    expect(ofEach).toEqual([...ofEach].sort((a, b) => b - a));
  });

  test("of 0 is none", async () => {
    const flags = ["--count", "100", "--users", "5", "--seed", "7"];
    const plain = await withdraw(...flags);
    const zero = await withdraw(...flags, "--skew", "0");
    expect([zero.report.skew, zero.ofEach]).toEqual([0, plain.ofEach]);
  });
});

describe("--seed", () => {
  const flags = ["--count", "200", "--users", "6", "--skew", "0.5"];

  test("picks the same users again; another one picks others", async () => {
    const first = await withdraw(...flags, "--seed", "0");
    const again = await withdraw(...flags, "--seed", "0");
    const other = await withdraw(...flags, "--seed", "4294967295");
    expect([first.report.seed, again.report.seed, other.report.seed]).toEqual([
      0, 0, 4_294_967_295,
    ]);
    expect(again.ofEach).toEqual(first.ofEach);
    expect(other.ofEach).not.toEqual(first.ofEach);
  });

  test("is in the report where none was given, for the next run", async () => {
    const first = await withdraw(...flags);
    const again = await withdraw(...flags, "--seed", String(first.report.seed));
    expect([again.report.seed, again.ofEach]).toEqual([first.report.seed, first.ofEach]);
  });
});

describe("the verdict", () => {
  test("pass: exit code 0, and all that makes the run again is in the text", async () => {
    const { code, stdout, stderr } = await balancectl([
      ...["stress", "--url", server.url, "--rate", "50", "--duration", "1"],
      ...["--users", "3", "--skew", "1", "--seed", "5"],
    ]);
    expect([code, stderr]).toEqual([0, "Looking for a server\n"]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "50 withdrawals of 2 from 3 balances of 10,000, 50 sockets at once",
      "open loop: 50 a second for 1 s",
      "users picked with a skew of 1, seed 5",
      server.url,
    ]);
    expect(lines.at(-1)).toBe("✔ pass: every answer, 3 balances and their journals agree");
  });

  test("fail: exit code 1, and the document says why", async () => {
    const wrong = await startUntrustworthy("debitsTwice");
    afterFile(() => wrong.close());
    const args = ["stress", "--url", wrong.url, "--count", "20", "--users", "2", "--json"];
    const { code, stdout, stderr } = await cli.run(...args);
    const { verdict, findings } = JSON.parse(stdout) as StressReport;
    expect([code, stderr, verdict]).toEqual([1, "", "fail"]);
    expect(findings).toContainEqual(expect.stringMatching(/^User \d+: Journal entries/));
  });

  test("--json: one document on stdout and nothing else, with a server of its own too", async () => {
    const url = await createTestDatabase();
    // Nobody answers on port 1, so it starts one.
    const env = { DATABASE_URL: url, PORT: "1" };
    const flags = ["--count", "30", "--users", "2", "--seed", "1"];
    const { code, stdout, stderr } = await balancectl(["stress", ...flags, "--json"], env);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^\{.*\}\n$/);
    const report = JSON.parse(stdout) as StressReport;
    expect(report).toMatchObject({ requests: 30, succeeded: 30, seed: 1, verdict: "pass" });
    const [made] = await psql(url, "SELECT count(*)::int AS made FROM entries WHERE amount = -2");
    expect(made).toEqual({ made: 30 });
  });
});

describe("wrong usage ends with exit code 2 and names the flag", () => {
  const count = ["--count <count>", "It must be a whole number from 1 to 100000000."] as const;
  const sockets = [
    "--concurrency <count>",
    "It must be a whole number from 1 to 1000000.",
  ] as const;
  const seconds = (max: number) =>
    `It must be a whole number of seconds from 1 to ${max}, or a time like 90s, 1h, 7d.`;
  const timeout = ["--timeout <seconds>", seconds(3_600)] as const;
  const rate = ["--rate <rate>", "It must be a whole number from 1 to 1000000."] as const;
  const duration = ["--duration <seconds>", seconds(86_400)] as const;
  const users = ["--users <count>", "It must be a whole number from 1 to 100000."] as const;
  const skew = ["--skew <exponent>", "It must be a number from 0 to 10."] as const;
  const seed = ["--seed <seed>", "It must be a whole number from 0 to 4294967295."] as const;

  test.each([
    ...["0", "100000001"].map((text) => [text, ...count] as const),
    ...["0", "1000001"].map((text) => [text, ...sockets] as const),
    ...["0", "3601"].map((text) => [text, ...timeout] as const),
    ...["x", "0", "-1", "1.5", "1000001", ""].map((text) => [text, ...rate] as const),
    ...["x", "0", "-1", "0.5", "10x", "86401"].map((text) => [text, ...duration] as const),
    ...["x", "0", "-1", "2.5", "100001"].map((text) => [text, ...users] as const),
    ...["x", "-1", "10.1", "1e1", ".5", "NaN", "Infinity"].map((text) => [text, ...skew] as const),
    ...["x", "-1", "1.5", "0x1", "4294967296"].map((text) => [text, ...seed] as const),
  ])("%j for %s", async (text, option, rule) => {
    const flag = option.slice(0, option.indexOf(" "));
    await cli.expectRun(["stress", flag, text], {
      code: 2,
      stderr: `error: option '${option}' argument '${text}' is invalid. ${rule}\n${usageHint}`,
    });
  });

  const together = "--rate and --duration go together";
  const forSeveral = "--skew and --seed are for several users (--users)";
  const conflict = (one: string, other: string) =>
    `option '${one}' cannot be used with option '${other}'`;

  test.each([
    [["--rate", "5"], together],
    [["--duration", "5"], together],
    [["--skew", "1"], forSeveral],
    [["--skew", "0"], forSeveral],
    [["--seed", "1"], forSeveral],
    [["--users", "1", "--skew", "1", "--seed", "1"], forSeveral],
    [["--user", "1", "--seed", "1"], forSeveral],
    [
      ["--rate", "5", "--duration", "1", "--count", "5"],
      conflict("--rate <rate>", "--count <count>"),
    ],
    [["--duration", "1", "--count", "5"], conflict("--duration <seconds>", "--count <count>")],
    [["--users", "2", "--user", "1"], conflict("--users <count>", "--user <id>")],
    [["--rate"], "option '--rate <rate>' argument missing"],
  ])("%j", async (flags, message) => {
    await cli.expectRun(["stress", ...flags], {
      code: 2,
      stderr: `error: ${message}\n${usageHint}`,
    });
    await cli.expectRun(["stress", "--json", ...flags], {
      code: 2,
      ...failure("INVALID_REQUEST", message),
    });
  });

  test.each([
    [
      ["--rate", "1000000", "--duration", "101"],
      "rate x duration must be a whole number from 1 to 100000000 (it is 101000000)",
    ],
    [
      ["--rate", "1", "--duration", "10", "--concurrency", "5"],
      "concurrency must be at most 4 for a rate of 1 (it is 5): " +
        "sockets idle for longer than 4 s are closed by servers",
    ],
    [
      ["--users", "2", "--balance", "9007199254740991"],
      "users x balance must be a whole number from 0 to 9007199254740991 (it is 18014398509481982)",
    ],
    [
      ["--user", "1", "--balance", "5"],
      "--balance is for the user made for the run; leave it out with --user",
    ],
  ])("%j: too much together", async (flags, message) => {
    // Refused before a server is looked for.
    await cli.expectRun(["stress", ...flags], { code: 2, stderr: `balancectl: ${message}\n` });
    await cli.expectRun(["stress", ...flags, "--json"], {
      code: 2,
      ...failure("INVALID_REQUEST", message),
    });
  });
});
