/** balancectl hold, capture, void and holds. */
import { expect, test } from "vitest";
import { openFunction, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { tamper } from "../support/oracle/healthy-ledger.ts";
import { commandLine, connecting, failure, usageHint } from "../support/server/command-line.ts";

const databaseUrl = await createTestDatabase();
const cli = commandLine(databaseUrl);
const { fingerprint } = await openTables(databaseUrl);
const { apply } = await openFunction(databaseUrl);

const unknown = "00000000-0000-7000-8000-000000000000";
let lastId = 10;

/** Users of 5,000 and of nothing. */
async function openTwo(): Promise<[string, string]> {
  const [user, payee] = [++lastId, ++lastId];
  await apply([
    { user, kind: "opening", amount: 5_000 },
    { user: payee, kind: "opening", amount: 0 },
  ]);
  return [String(user), String(payee)];
}

/** A hold that is there already. */
async function hold(user: string, amount: number): Promise<string> {
  const id = uuid(++lastId);
  await apply([{ user: Number(user), kind: "hold", amount, id }]);
  return id;
}

test("hold says which one it is and what is left to spend", async () => {
  const [user] = await openTwo();
  const { code, stdout, stderr } = await cli.spawn("hold", user, "1200");
  const [id = ""] = /[\da-f-]{36}/.exec(stdout) ?? [];
  expect([code, stdout, stderr]).toEqual([
    0,
    `Hold ${id}: 1,200 of user ${user}, who can spend 3,800\n`,
    connecting,
  ]);
  const args = ["hold", user, "300", "--expires-in", "60", "--idempotency-key", "h"];
  const made = await cli.json<{ data: { id: string; createdAt: string } }>(...args);
  const { createdAt } = made.data;
  const expiresAt = new Date(Date.parse(createdAt) + 60_000).toISOString();
  expect(made).toEqual({
    success: true,
    data: {
      ...{ id: made.data.id, userId: Number(user), amount: 300, state: "open" },
      ...{ expiresAt, createdAt, balance: 3_500 },
    },
  });
  expect(await cli.json(...args)).toEqual(made);
  const rows = await psql(
    databaseUrl,
    `SELECT extract(epoch FROM expires_at - created_at)::int AS lives FROM holds
      WHERE user_id = $1 ORDER BY id`,
    [user],
  );
  expect(rows).toEqual([{ lives: null }, { lives: 60 }]);
});

test("capture takes all of it, or a part and for another user", async () => {
  const [user, payee] = await openTwo();
  const [whole, part] = [await hold(user, 2000), await hold(user, 1000)];
  await cli.expectRun(["capture", user, whole], {
    stdout: `Captured 2,000 of 2,000; user ${user} can spend 2,000\n`,
  });
  await cli.expectRun(["capture", user, part, "--amount", "400", "--to", payee], {
    stdout: `Captured 400 of 1,000 for user ${payee}; user ${user} can spend 2,600\n`,
  });
  const third = await hold(user, 600);
  const args = ["capture", user, third.toUpperCase(), "--amount", "1", "--reference", "bill"];
  expect(await cli.json(...args)).toEqual({
    success: true,
    data: {
      ...{ id: third, userId: Number(user), state: "captured", amount: 600 },
      ...{ captured: 1, released: 599, balance: 2_599 },
      ...{ createdAt: expect.any(String), closedAt: expect.any(String) },
    },
  });
  const paid = await psql(databaseUrl, "SELECT balance::int FROM users WHERE id = $1", [payee]);
  expect(paid).toEqual([{ balance: 400 }]);
});

test("void gives it back", async () => {
  const [user] = await openTwo();
  const [first, second] = [await hold(user, 2000), await hold(user, 1000)];
  await cli.expectRun(["void", user, first], {
    stdout: `Voided: 2,000 back to user ${user}, who can spend 4,000\n`,
  });
  expect(await cli.json("void", user, second, "--idempotency-key", "v")).toEqual({
    success: true,
    data: {
      ...{ id: second, userId: Number(user), state: "voided" },
      ...{ amount: 1_000, released: 1_000, balance: 5_000 },
      ...{ createdAt: expect.any(String), closedAt: expect.any(String) },
    },
  });
});

test("holds lists the open ones first, and gives back what is due", async () => {
  const [user, payee] = await openTwo();
  await cli.expectRun(["holds", payee], { stdout: `No holds of user ${payee}\n` });
  const [first, second, third] = [
    await hold(user, 2000),
    await hold(user, 40),
    await hold(user, 1000),
  ];
  await cli.run("capture", user, third, "--amount", "400");
  const due = "UPDATE holds SET created_at = '2026-01-01Z', expires_at = '2026-01-02Z' WHERE id = ";
  await tamper(databaseUrl, `${due}'${first}'`);
  await psql(databaseUrl, "UPDATE users SET next_expiry_at = '2026-01-02Z' WHERE id = $1", [user]);

  const { data } = await cli.json<{ data: { holds: object[]; more: boolean } }>("holds", user);
  const createdAt = expect.any(String);
  const closedAt = expect.any(String);
  expect(data).toEqual({
    holds: [
      { id: second, userId: Number(user), amount: 40, state: "open", createdAt },
      {
        ...{ id: third, userId: Number(user), amount: 1_000, state: "captured", captured: 400 },
        ...{ createdAt, closedAt },
      },
      {
        ...{ id: first, userId: Number(user), amount: 2_000, state: "expired" },
        ...{ expiresAt: "2026-01-02T00:00:00.000Z", closedAt: "2026-01-02T00:00:00.000Z" },
        createdAt: "2026-01-01T00:00:00.000Z",
      },
    ],
    more: false,
  });

  const { code, stdout, stderr } = await cli.run("holds", user, "--limit", "2");
  const cells = stdout.split("\n").map((line) => line.split(/ {2,}/));
  expect(cells).toEqual([
    ["hold", "state", "amount", "captured", "created", "expires"],
    [second, "open", "40", createdAt, "never"],
    [third, "captured", "1,000", "400", createdAt, "never"],
    [""],
  ]);
  expect([code, stderr]).toEqual([
    0,
    `${connecting}There are more: --limit says how many are shown\n`,
  ]);
});

test("a refusal ends with exit code 3, and nothing is stored", async () => {
  const [user, payee] = await openTwo();
  const [open, closed] = [await hold(user, 100), await hold(user, 100)];
  await apply([{ user: Number(user), kind: "void", id: closed }]);
  const before = await fingerprint();
  const refused: [args: string[], code: string, message: string][] = [
    [["hold", user, "4901"], "INSUFFICIENT_FUNDS", "Insufficient funds for this operation"],
    [["hold", "9999", "1"], "USER_NOT_FOUND", "User 9999 not found"],
    [
      ["capture", user, open, "--amount", "101"],
      "CAPTURE_EXCEEDS_HOLD",
      "The capture is larger than the hold",
    ],
    [["capture", user, open, "--to", "9999"], "USER_NOT_FOUND", "User 9999 (to) not found"],
    [["capture", payee, open], "HOLD_NOT_FOUND", "Hold not found"],
    [["void", user, unknown], "HOLD_NOT_FOUND", "Hold not found"],
    [["holds", "9999"], "USER_NOT_FOUND", "User 9999 not found"],
    [["capture", user, closed], "HOLD_CLOSED", "The hold is voided"],
    [["void", user, closed], "HOLD_CLOSED", "The hold is voided"],
  ];
  await Promise.all(
    refused.map(([args, code, message], index) =>
      index % 2 === 0
        ? cli.expectRun(args, { code: 3, stderr: `${connecting}balancectl: ${message}\n` })
        : cli.expectRun([...args, "--json"], { code: 3, ...failure(code, message) }),
    ),
  );
  expect(await fingerprint()).toBe(before);
});

test("wrong usage ends with exit code 2, before there is a connection", async () => {
  const seconds =
    "It must be a whole number of seconds from 1 to 315360000, or a time like 90s, 1h, 7d.";
  const whole = (max: number) => `It must be a whole number from 1 to ${max}.`;
  const wrong: [args: string[], stderr: string][] = [
    [
      ["hold", "1", "0"],
      `error: command-argument value '0' is invalid for argument 'amount'. ${whole(Number.MAX_SAFE_INTEGER)}\n${usageHint}`,
    ],
    [
      ["hold", "1", "1", "--expires-in", "0"],
      `error: option '--expires-in <time>' argument '0' is invalid. ${seconds}\n${usageHint}`,
    ],
    [
      ["hold", "1", "1", "--expires-in", "315360001"],
      `error: option '--expires-in <time>' argument '315360001' is invalid. ${seconds}\n${usageHint}`,
    ],
    [
      ["capture", "1", unknown, "--to", "1"],
      "balancectl: to must not be the user who pays; void the hold to give the money back\n",
    ],
    [["capture", "1", "7"], 'balancectl: <holdId> must be a UUID (it is "7")\n'],
    [["void", "1", "7"], 'balancectl: <holdId> must be a UUID (it is "7")\n'],
    [["void", "1"], `error: missing required argument 'holdId'\n${usageHint}`],
  ];
  await Promise.all(wrong.map(([args, stderr]) => cli.expectRun(args, { code: 2, stderr })));
});
