import { describe, expect, test } from "vitest";
import { openFunction } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { commandLine, connecting, failure, usageHint } from "../support/server/command-line.ts";

/** One test writes and the others read, so each kind has a database. */
const [listUrl, createUrl] = [await createTestDatabase(), await createTestDatabase()];
const list = commandLine(listUrl);
const create = commandLine(createUrl);

const { apply } = await openFunction(listUrl);
await apply([{ user: 7, kind: "opening", amount: 1_234_567 }], { now: "2040-01-01T00:00:00Z" });
await apply(
  [{ user: 7, kind: "hold", amount: 4_567, id: "00000000-0000-7000-8000-000000000001" }],
  { now: "2040-01-01T00:00:01Z" },
);
await apply([{ user: 9_007_199_254_740_991, kind: "opening", amount: 0 }], {
  now: "2040-01-01T00:00:02.5Z",
});
const [{ at: since } = { at: "" }] = await psql<{ at: string }>(
  listUrl,
  `SELECT to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at
     FROM users WHERE id = 1`,
);

describe("users list", () => {
  test("is a table in the order of ids", async () => {
    await list.expectRun(["users", "list"], {
      stdout: `\
            user    balance   held  entries  last change
               1     10,000      0        1  ${since}
               7  1,230,000  4,567        2  2040-01-01T00:00:01.000Z
9007199254740991          0      0        0  2040-01-01T00:00:02.500Z
`,
    });
  });

  test("goes on where --limit ends", async () => {
    const rows = (await list.spawn("users", "list", "--limit", "2")).stdout.trimEnd().split("\n");
    expect(rows.map((row) => row.trim().split(/ +/)[0])).toEqual(["user", "1", "7"]);
    await list.expectRun(["users", "list", "--limit", "1", "--after", "1"], {
      stdout: `\
user    balance   held  entries  last change
   7  1,230,000  4,567        2  2040-01-01T00:00:01.000Z
`,
      stderr: `${connecting}More: --after 7\n`,
    });
    await list.expectRun(["users", "list", "--after", "9007199254740991"], {
      stdout: "No users beyond 9007199254740991\n",
    });
  });

  test("--json has the same, and where to go on", async () => {
    expect(await list.json("users", "list", "--limit", "1", "--after", "1")).toEqual({
      success: true,
      data: {
        users: [
          {
            ...{ id: 7, balance: 1_230_000, held: 4_567, version: 2 },
            ...{ createdAt: "2040-01-01T00:00:00.000Z", updatedAt: "2040-01-01T00:00:01.000Z" },
          },
        ],
        next: 7,
      },
    });
    expect(await list.json("users", "list", "--after", "9007199254740991")).toEqual({
      success: true,
      data: { users: [], next: null },
    });
  });
});

describe("users show", () => {
  test("is one row, or --json", async () => {
    await list.expectRun(["users", "show", "7"], {
      stdout: `\
user    balance   held  entries  last change
   7  1,230,000  4,567        2  2040-01-01T00:00:01.000Z
`,
    });
    expect(await list.json("users", "show", "9007199254740991")).toEqual({
      success: true,
      data: {
        ...{ id: 9_007_199_254_740_991, balance: 0, held: 0, version: 0 },
        ...{ createdAt: "2040-01-01T00:00:02.500Z", updatedAt: "2040-01-01T00:00:02.500Z" },
      },
    });
  });

  test("of nobody is refused with exit code 3", async () => {
    const message = "User 99 not found";
    await list.expectRun(["users", "show", "99"], {
      ...{ code: 3, stderr: `${connecting}balancectl: ${message}\n` },
    });
    await list.expectRun(["users", "show", "99", "--json"], {
      ...{ code: 3, ...failure("USER_NOT_FOUND", message) },
    });
  });
});

describe("users create", () => {
  test("opens under the id asked for, with an opening entry that keeps its context", async () => {
    const about = ["--reference", "order 17", "--metadata", '{"a":[1]}'];
    const args = ["users", "create", "--id", "42", "--balance", "10000", ...about];
    await create.expectRun(args, { stdout: "User 42 opened with 10,000\n" });
    const entries = await psql(
      createUrl,
      "SELECT version::int, amount::int, kind, reference, metadata FROM entries WHERE user_id = 42",
    );
    expect(entries).toEqual([
      { version: 1, amount: 10_000, kind: "opening", reference: "order 17", metadata: { a: [1] } },
    ]);
    const message = "User 42 exists already";
    await create.expectRun(["users", "create", "--id", "42"], {
      ...{ code: 3, stderr: `${connecting}balancectl: ${message}\n` },
    });
    await create.expectRun(["users", "create", "--id", "42", "--json"], {
      ...{ code: 3, ...failure("USER_EXISTS", message) },
    });
  });

  test("opens the next free id with nothing, once under a key", async () => {
    const key = ["--idempotency-key", "first"];
    const opened = await create.json<{ data: { id: number } }>("users", "create", ...key);
    expect(opened).toEqual({ success: true, data: { id: 2, balance: 0 } });
    expect(await create.json("users", "create", ...key)).toEqual(opened);
    expect(await psql(createUrl, "SELECT id::int FROM users WHERE id BETWEEN 2 AND 40")).toEqual([
      { id: 2 },
    ]);
    await create.expectRun(["users", "create", "--balance", "5", ...key], {
      code: 3,
      stderr: `${connecting}balancectl: This Idempotency-Key was used before with a different request\n`,
    });
  });

  test("wrong usage ends with exit code 2, before there is a connection", async () => {
    const { fingerprint } = await openTables(listUrl);
    const before = await fingerprint();
    const whole = (min: number) => `It must be a whole number from ${min} to 9007199254740991.`;
    const wrong: [string[], string][] = [
      [
        ["--balance", "-1"],
        `error: option '--balance <balance>' argument '-1' is invalid. ${whole(0)}\n${usageHint}`,
      ],
      [
        ["--id", "0"],
        `error: option '--id <id>' argument '0' is invalid. ${whole(1)}\n${usageHint}`,
      ],
      [
        ["--reference", "🍕"],
        'balancectl: reference may have letters, digits, punctuation and spaces; no control characters and no emoji (it is "🍕")\n',
      ],
      [["--metadata", "[1]"], "balancectl: metadata must be a JSON object (it is an array)\n"],
      [["--metadata", "{a:1}"], "balancectl: --metadata must be a JSON object\n"],
      [
        ["--idempotency-key", "two words"],
        "balancectl: --idempotency-key must be 1 to 255 visible ASCII characters without spaces\n",
      ],
    ];
    await Promise.all(
      wrong.map(([args, stderr]) =>
        list.expectRun(["users", "create", ...args], { code: 2, stderr }),
      ),
    );
    expect(await fingerprint()).toBe(before);
  });
});
