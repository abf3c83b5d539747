import { expect, test } from "vitest";
import { openFunction } from "../support/database/apply-operations.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { journalFindings } from "../support/oracle/journal.ts";
import { commandLine, connecting, failure, usageHint } from "../support/server/command-line.ts";

const databaseUrl = await createTestDatabase();
const cli = commandLine(databaseUrl);
const { fingerprint } = await openTables(databaseUrl);
const { apply } = await openFunction(databaseUrl);
await apply([
  { user: 2, kind: "opening", amount: 0 },
  { user: 3, kind: "opening", amount: 2_000_000 },
  { user: 4, kind: "opening", amount: Number.MAX_SAFE_INTEGER },
]);

interface Made {
  readonly data: { id: string; from: number; to: number; amount: number; balance: number };
}

test("moves the amount and says what is left", async () => {
  const about = ["--reference", "invoice 9", "--metadata", '{"lines":2}'];
  const { code, stdout, stderr } = await cli.spawn("transfer", "3", "2", "1500000", ...about);
  expect([code, stderr]).toEqual([0, connecting]);
  const [id = ""] = /[\da-f-]{36}/.exec(stdout) ?? [];
  expect(stdout).toBe(`Transfer ${id}: 1,500,000 from user 3 to user 2; user 3 has 500,000 left\n`);
  const entries = await psql(
    databaseUrl,
    `SELECT user_id::int AS user, amount::int, balance::int, kind, reference, metadata
       FROM entries WHERE operation_id = $1 ORDER BY user_id`,
    [id],
  );
  const common = { kind: "transfer", reference: "invoice 9", metadata: { lines: 2 } };
  expect(entries).toEqual([
    { user: 2, amount: 1_500_000, balance: 1_500_000, ...common },
    { user: 3, amount: -1_500_000, balance: 500_000, ...common },
  ]);
});

test("once under a key, with the same document", async () => {
  const args = ["transfer", "1", "2", "7", "--idempotency-key", "pay-1"];
  const first = await cli.json<Made>(...args);
  const { id } = first.data;
  expect(first).toEqual({ success: true, data: { id, from: 1, to: 2, amount: 7, balance: 9_993 } });
  expect(await cli.json<Made>(...args)).toEqual(first);
  await cli.expectRun(["transfer", "1", "2", "8", "--idempotency-key", "pay-1", "--json"], {
    code: 3,
    ...failure(
      "IDEMPOTENCY_KEY_REUSED",
      "This Idempotency-Key was used before with a different request",
    ),
  });
});

test("a refusal ends with exit code 3, and nothing is stored", async () => {
  const before = await fingerprint();
  const refused: [args: string[], code: string, message: string][] = [
    [["1", "2", "10001"], "INSUFFICIENT_FUNDS", "Insufficient funds for this operation"],
    [["1", "4", "1"], "BALANCE_LIMIT_EXCEEDED", "The balance would exceed 9007199254740991"],
    [["99", "1", "1"], "USER_NOT_FOUND", "User 99 not found"],
    [["1", "99", "1"], "USER_NOT_FOUND", "User 99 (to) not found"],
  ];
  await Promise.all(
    refused.map(([args, code, message], index) =>
      index % 2 === 0
        ? cli.expectRun(["transfer", ...args], {
            ...{ code: 3, stderr: `${connecting}balancectl: ${message}\n` },
          })
        : cli.expectRun(["transfer", ...args, "--json"], { code: 3, ...failure(code, message) }),
    ),
  );
  expect(await fingerprint()).toBe(before);
});

test("wrong usage ends with exit code 2, before there is a connection", async () => {
  const whole = "It must be a whole number from 1 to 9007199254740991.";
  const wrong: [args: string[], stderr: string][] = [
    [["1", "1", "5"], "balancectl: to must not be the user who pays (it is 1)\n"],
    [
      ["1", "2", "0"],
      `error: command-argument value '0' is invalid for argument 'amount'. ${whole}\n${usageHint}`,
    ],
    [
      ["1", "2", "-5"],
      `error: command-argument value '-5' is invalid for argument 'amount'. ${whole}\n${usageHint}`,
    ],
    [
      ["0", "2", "5"],
      `error: command-argument value '0' is invalid for argument 'from'. ${whole}\n${usageHint}`,
    ],
    [["1", "2"], `error: missing required argument 'amount'\n${usageHint}`],
  ];
  await Promise.all(
    wrong.map(([args, stderr]) => cli.expectRun(["transfer", ...args], { code: 2, stderr })),
  );
  expect(await journalFindings(databaseUrl)).toEqual([]);
});
