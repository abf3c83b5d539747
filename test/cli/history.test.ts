import pg from "pg";
import { describe, expect, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { tamper } from "../support/oracle/healthy-ledger.ts";
import { commandLine, connecting, failure, usageHint } from "../support/server/command-line.ts";

const databaseUrl = await createTestDatabase();
const cli = commandLine(databaseUrl);
const { apply } = await openFunction(databaseUrl);

const time = (seconds: number) => new Date(Date.UTC(2024, 0, 1, 12, 0, seconds)).toISOString();
const [transfer, hold] = [uuid(1), uuid(2)];
const story: readonly Step[] = [
  { user: 7, kind: "opening", amount: 1_000_000, reference: "start" },
  { user: 7, amount: -2, reference: 'say "hi", then\u2026 go' },
  {
    user: 7,
    to: 8,
    kind: "transfer",
    amount: 250_000,
    id: transfer,
    metadata: { a: "x, y", b: 1 },
  },
  { user: 7, kind: "hold", amount: 40, id: hold, reference: "=1+1" },
  { user: 7, kind: "capture", amount: 30, id: hold, reference: "-2" },
];
await apply([{ user: 8, kind: "opening", amount: 0 }], { now: time(0) });
for (const [index, step] of story.entries()) await apply([step], { now: time(index) });
await apply([{ user: 9, kind: "opening", amount: 0 }], { now: time(0) });
await apply([{ user: 10, kind: "opening", amount: 0 }], { now: time(0) });
// More than one page, in three bites.
for (const seconds of [0, 1, 2]) {
  await apply(
    Array.from({ length: 900 }, () => ({ user: 10, amount: 1 })),
    { now: time(seconds) },
  );
}

describe("as a table", () => {
  const head = "  version  time                      kind                amount         balance\n";
  const rows = [
    "        1  2024-01-01T12:00:00.000Z  opening         +1,000,000       1,000,000  start\n",
    '        2  2024-01-01T12:00:01.000Z  adjustment              -2         999,998  say "hi", then… go\n',
    "        3  2024-01-01T12:00:02.000Z  transfer          -250,000         749,998\n",
    "        4  2024-01-01T12:00:03.000Z  hold                   -40         749,958  =1+1\n",
    "        5  2024-01-01T12:00:04.000Z  release                +40         749,998  -2\n",
    "        6  2024-01-01T12:00:04.000Z  capture                -30         749,968  -2\n",
  ];

  test("the newest first, unless asked otherwise", async () => {
    await cli.expectRun(["history", "7"], { stdout: head + [...rows].reverse().join("") });
    await cli.expectRun(["history", "7", "--order", "asc"], { stdout: head + rows.join("") });
  });

  test("at most so many, and only from a moment on, and before another", async () => {
    await cli.expectRun(["history", "7", "--limit", "2"], {
      stdout: `${head}${rows[5]}${rows[4]}`,
    });
    const span = ["--from", "2024-01-01T13:00:01+01:00", "--to", "2024-01-01T12:00:03Z"];
    await cli.expectRun(["history", "7", ...span], { stdout: `${head}${rows[2]}${rows[1]}` });
    const empty = ["--from", "2024-01-01T12:00:03Z", "--to", "2024-01-01T12:00:03Z"];
    await cli.expectRun(["history", "7", ...empty], { stdout: head });
  });

  test("of a user without entries is its head", async () => {
    await cli.expectRun(["history", "9"], { stdout: head });
  });
});

test("--csv has a head line and quotes every text", async () => {
  await cli.expectRun(["history", "7", "--csv", "--order", "asc"], {
    stdout: `\
version,createdAt,kind,amount,balance,operationId,reference,metadata
1,2024-01-01T12:00:00.000Z,opening,1000000,1000000,,"start",
2,2024-01-01T12:00:01.000Z,adjustment,-2,999998,,"say ""hi"", then… go",
3,2024-01-01T12:00:02.000Z,transfer,-250000,749998,${transfer},,"{""a"":""x, y"",""b"":1}"
4,2024-01-01T12:00:03.000Z,hold,-40,749958,${hold},"'=1+1",
5,2024-01-01T12:00:04.000Z,release,40,749998,${hold},"'-2",
6,2024-01-01T12:00:04.000Z,capture,-30,749968,${hold},"'-2",
`,
  });
});

test("--csv has no cell that a spreadsheet takes for a formula", async () => {
  const url = await createTestDatabase();
  const references = [
    ...[
      "=1+1",
      "+1",
      "-1",
      "@SUM(1)",
      "＝1+1",
      "＋1",
      "－1",
      "＠SUM(1)",
      "﹦1",
      "﹢1",
      "﹣1",
      "﹫a",
    ],
    ...[
      " =1+1",
      "\u3000＝1",
      "'=1+1",
      "a=1",
      "1-1",
      "a;=1",
      ";=1",
      '=1,"2"',
      "−1",
      "order 17",
      "a; ＋1;b;-2",
    ],
  ];
  // Characters that a reference may not have over HTTP: SQL has no such rule.
  const bySql = ["\t=1", "\r=1", "\n=1", "\tx"];
  await tamper(
    url,
    `INSERT INTO entries (user_id, version, amount, balance, kind, created_at, reference)
     SELECT 50, n, 1, n, 'adjustment', clock_timestamp(), reference
       FROM unnest(ARRAY[${[...references, ...bySql].map((text) => pg.escapeLiteral(text)).join()}])
            WITH ORDINALITY AS r (reference, n);
     INSERT INTO users (id, balance, version) VALUES (50, ${references.length + bySql.length}, ${references.length + bySql.length})`,
  );
  const { code, stdout } = await commandLine(url).run("history", "50", "--csv", "--order", "asc");
  expect(code).toBe(0);
  const cells = stdout
    .split(/\n(?=\d+,)/)
    .map((line) => line.replace(/\n$/, "").split(",").slice(6, -1).join());
  expect(cells.slice(1).every((cell) => /^".*"$/.test(cell))).toBe(true);
  expect(cells.slice(1).map((cell) => cell.slice(1, -1))).toEqual([
    ...["'=1+1", "'+1", "'-1", "'@SUM(1)", "'＝1+1", "'＋1", "'－1", "'＠SUM(1)"],
    ...["'﹦1", "'﹢1", "'﹣1", "'﹫a", "' =1+1", "'\u3000＝1", "'=1+1", "a=1", "1-1"],
    ...["a;'=1", ";'=1", `'=1,""2""`, "'−1", "order 17", "a;' ＋1;b;'-2"],
    ...["\\u0009=1", "\\u000d=1", "\\u000a=1", "\\u0009x"],
  ]);
});

/** C1's CSI, DEL, a mark that turns text round, a line separator, an escape sequence. */
const nasty = "a\u009b31m\u007f\u202eb\u2028\u001b[2Jc";
const seen = "a\\u009b31m\\u007f\\u202eb\\u2028\\u001b[2Jc";

test("what a terminal would obey is shown, in each form", async () => {
  const url = await createTestDatabase();
  // As SQL may write it: over HTTP no reference has such characters.
  await tamper(
    url,
    `INSERT INTO entries (user_id, version, amount, balance, kind, created_at, reference, metadata)
     VALUES (50, 1, 1, 1, 'adjustment', clock_timestamp(), ${pg.escapeLiteral(nasty)},
             ${pg.escapeLiteral(JSON.stringify({ [nasty]: nasty }))});
     INSERT INTO users (id, balance, version) VALUES (50, 1, 1)`,
  );
  const history = async (...args: string[]) =>
    (await commandLine(url).run("history", "50", ...args)).stdout;
  expect((await history()).trimEnd().endsWith(`  ${seen}`)).toBe(true);
  const json = await history("--json");
  expect(JSON.parse(json)).toMatchObject({ reference: nasty, metadata: { [nasty]: nasty } });
  const csv = await history("--csv");
  expect(csv).toContain(`"${seen}","{""${seen}"":""${seen}""}"`);
  expect(json + csv).toMatch(/^[\x20-\x7e\n]*$/);
});

test("and so is what was typed", async () => {
  const { stderr } = await cli.run("adjust", "7", "1", "--reference", nasty);
  expect(stderr).toContain(`(it is "${seen}")`);
  const { stdout } = await cli.run("adjust", "7", "1", "--reference", nasty, "--json");
  expect(stdout).toMatch(/^[\x20-\x7e]*\n$/);
  expect(JSON.parse(stdout).error.message).toContain(`(it is "${seen}")`);
});

describe("as NDJSON", () => {
  test("--json is one document a line, as the API shows it", async () => {
    const { code, stdout, stderr } = await cli.spawn("history", "7", "--json", "--order", "asc");
    expect([code, stderr]).toEqual([0, ""]);
    const common = { kind: "release", holdId: hold, reference: "-2", createdAt: time(4) };
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        version: 1,
        amount: 1_000_000,
        balance: 1_000_000,
        kind: "opening",
        reference: "start",
        createdAt: time(0),
      },
      {
        version: 2,
        amount: -2,
        balance: 999_998,
        kind: "adjustment",
        reference: story[1]?.reference,
        createdAt: time(1),
      },
      {
        version: 3,
        amount: -250_000,
        balance: 749_998,
        kind: "transfer",
        transferId: transfer,
        metadata: { a: "x, y", b: 1 },
        createdAt: time(2),
      },
      {
        version: 4,
        amount: -40,
        balance: 749_958,
        kind: "hold",
        holdId: hold,
        reference: "=1+1",
        createdAt: time(3),
      },
      { ...common, version: 5, amount: 40, balance: 749_998 },
      { ...common, version: 6, amount: -30, balance: 749_968, kind: "capture" },
    ]);
  });

  test.each([
    [[], 2_700],
    [["--limit", "1000"], 1_000],
    [["--limit", "1001"], 1_001],
    [["--limit", "2701"], 2_700],
    [["--from", time(1), "--to", time(2)], 900],
  ])("over page after page, %j", async (flags, count) => {
    for (const order of flags.length === 0 ? ["asc", "desc"] : ["desc"]) {
      const { code, stdout } = await cli[flags.length === 0 ? "spawn" : "run"](
        "history",
        "10",
        "--json",
        "--order",
        order,
        ...flags,
      );
      const lines = stdout.trimEnd().split("\n");
      const versions = lines.map((line) => JSON.parse(line).version as number);
      const first = flags[0] === "--from" ? 1_800 : order === "asc" ? 1 : 2_700;
      const step = order === "asc" ? 1 : -1;
      expect([code, versions]).toEqual([
        0,
        Array.from({ length: count }, (_, index) => first + index * step),
      ]);
    }
  });

  test("nothing is nothing", async () => {
    await cli.expectRun(["history", "9", "--json"], { stdout: "", stderr: "" });
  });
});

test("a refusal ends with exit code 3, wrong usage with 2", async () => {
  const notATime = (flag: string, it: string) =>
    `balancectl: ${flag} must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z (it is "${it}"); or a day (2026-01-31), today, yesterday, or how long ago (1h, 7d)\n`;
  const backwards = ["--from", "2024-01-02T00:00:00Z", "--to", "2024-01-01T00:00:00Z"];
  const rows = "It must be a whole number from 1 to 1000000000.";
  await Promise.all([
    cli.expectRun(["history", "99"], {
      ...{ code: 3, stderr: `${connecting}balancectl: User 99 not found\n` },
    }),
    cli.expectRun(["history", "99", "--json"], {
      ...{ code: 3, ...failure("USER_NOT_FOUND", "User 99 not found") },
    }),
    cli.expectRun(["history", "7", "--from", "gestern"], {
      ...{ code: 2, stderr: notATime("--from", "gestern") },
    }),
    cli.expectRun(["history", "7", "--to", "2024-01-01T00:00:00"], {
      ...{ code: 2, stderr: notATime("--to", "2024-01-01T00:00:00") },
    }),
    cli.expectRun(["history", "7", ...backwards], {
      ...{ code: 2, stderr: "balancectl: --from must not be after --to\n" },
    }),
    cli.expectRun(["history", "7", "--csv", "--json"], {
      ...{
        code: 2,
        ...failure("INVALID_REQUEST", "option '--csv' cannot be used with option '--json'"),
      },
    }),
    cli.expectRun(["history", "7", "--limit", "0"], {
      code: 2,
      stderr: `error: option '--limit <count>' argument '0' is invalid. ${rows}\n${usageHint}`,
    }),
    cli.expectRun(["history", "7", "--order", "up"], {
      code: 2,
      stderr: `error: option '--order <order>' argument 'up' is invalid. Allowed choices are desc, asc.\n${usageHint}`,
    }),
  ]);
});
