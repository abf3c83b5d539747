/** `balancectl adjust` as a person types it: what it prints, its exit code, what is in the tables. */
import { beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { account, journalFindings, snapshot } from "../support/oracle/journal.ts";
import { commandLine } from "../support/server/command-line.ts";
import { balancectl } from "../support/server/program.ts";

let url: string;

beforeAll(async () => {
  url = await createTestDatabase();
});

/** In this process, all of the program but bin/; the first test is a process of its own. */
function adjust(...args: string[]) {
  return commandLine(url).run("adjust", ...args);
}

const connecting = "Connecting to the database\n";
const usage = "(balancectl --help shows all commands, balancectl <command> --help one)\n";
const amountRange = "It must be a whole number from -9007199254740991 to 9007199254740991.";
const idRange = "It must be a whole number from 1 to 9007199254740991.";

describe("a change that is made", () => {
  test("adjust 1 -2", async () => {
    expect(await commandLine(url).spawn("adjust", "1", "-2")).toEqual({
      code: 0,
      stdout: "User 1: 10,000 → 9,998 (-2)\n",
      stderr: connecting,
    });
    expect(await account(url)).toEqual({ balance: 9_998, entries: 2 });
  });

  test("adjust 1 1234567", async () => {
    expect(await adjust("1", "1234567")).toEqual({
      code: 0,
      stdout: "User 1: 9,998 → 1,244,565 (+1,234,567)\n",
      stderr: connecting,
    });
    expect(await account(url)).toEqual({ balance: 1_244_565, entries: 3 });
  });

  test("adjust 1 +5 --json", async () => {
    expect(await adjust("1", "+5", "--json")).toEqual({
      code: 0,
      stdout:
        '{"success":true,"data":{"id":1,"balance":1244570,"previousBalance":1244565,"amount":5}}\n',
      stderr: "",
    });
  });

  test("adjust 1 -1244570 takes everything, with a reference and metadata", async () => {
    const { code, stdout } = await adjust(
      ...["1", "-1244570", "--reference", "order 17", "--metadata", '{"by":"ann"}'],
    );
    expect([code, stdout]).toEqual([0, "User 1: 1,244,570 → 0 (-1,244,570)\n"]);
    const [entry] = await psql(
      url,
      `SELECT amount::int, balance::int, kind, reference, metadata
         FROM entries WHERE user_id = 1 ORDER BY version DESC LIMIT 1`,
    );
    expect(entry).toEqual({
      amount: -1_244_570,
      balance: 0,
      kind: "adjustment",
      reference: "order 17",
      metadata: { by: "ann" },
    });
  });

  test("adjust 1 9007199254740991 reaches the limit", async () => {
    const { code, stdout } = await adjust("1", "9007199254740991");
    expect([code, stdout]).toEqual([
      0,
      "User 1: 0 → 9,007,199,254,740,991 (+9,007,199,254,740,991)\n",
    ]);
    expect((await adjust("1", "-9007199254730991")).code).toBe(0);
    expect((await account(url))?.balance).toBe(10_000);
  });
});

describe("a change that is refused", () => {
  test.each([
    [["1", "-999999"], "INSUFFICIENT_FUNDS", "Insufficient funds for this operation"],
    [["99999", "5"], "USER_NOT_FOUND", "User 99999 not found"],
    [
      ["1", "9007199254740991"],
      "BALANCE_LIMIT_EXCEEDED",
      "The balance would exceed 9007199254740991",
    ],
  ])("adjust %j", async (args, code, message) => {
    const before = await snapshot(url);
    expect(await adjust(...args)).toEqual({
      code: 3,
      stdout: "",
      stderr: `${connecting}balancectl: ${message}\n`,
    });
    expect(await adjust(...args, "--json")).toEqual({
      code: 3,
      stdout: `${JSON.stringify({ success: false, error: { code, message } })}\n`,
      stderr: "",
    });
    expect(await snapshot(url)).toEqual(before);
  });
});

describe("an argument that is none", () => {
  const amount = (given: string) =>
    `command-argument value '${given}' is invalid for argument 'amount'.`;
  const userId = (given: string) =>
    `command-argument value '${given}' is invalid for argument 'userId'.`;

  test.each([
    [["1", "0"], `${amount("0")} It must not be 0.`],
    [["1", "2.5"], `${amount("2.5")} ${amountRange}`],
    [["1", "1e3"], `${amount("1e3")} ${amountRange}`],
    [["1", "9007199254740993"], `${amount("9007199254740993")} ${amountRange}`],
    [["1", "-9007199254740992"], `${amount("-9007199254740992")} ${amountRange}`],
    [["1", "five"], `${amount("five")} ${amountRange}`],
    [["1", ""], `${amount("")} ${amountRange}`],
    [["1", "٥"], `${amount("٥")} ${amountRange}`],
    [["x", "1"], `${userId("x")} ${idRange}`],
    [["0", "1"], `${userId("0")} ${idRange}`],
    [["-1", "1"], `${userId("-1")} ${idRange}`],
    [["9007199254740992", "1"], `${userId("9007199254740992")} ${idRange}`],
    [["1"], "missing required argument 'amount'"],
    [[], "missing required argument 'userId'"],
    [["1", "2", "3"], "too many arguments for 'adjust'. Expected 2 arguments but got 3."],
  ])("adjust %j", async (args, message) => {
    const run = await adjust(...args);
    expect(run).toEqual({ code: 2, stdout: "", stderr: `error: ${message}\n${usage}` });
  });

  test("adjust 1 0 --json", async () => {
    const message = `${amount("0")} It must not be 0.`;
    expect(await adjust("1", "0", "--json")).toEqual({
      code: 2,
      stdout: `${JSON.stringify({
        success: false,
        error: { code: "INVALID_REQUEST", message },
      })}\n`,
      stderr: "",
    });
  });

  test.each([
    [
      ["--idempotency-key", "a b"],
      "--idempotency-key must be 1 to 255 visible ASCII characters without spaces",
    ],
    [
      ["--idempotency-key", ""],
      "--idempotency-key must be 1 to 255 visible ASCII characters without spaces",
    ],
    [["--metadata", "{"], "--metadata must be a JSON object"],
    [["--metadata", "[1]"], "metadata must be a JSON object (it is an array)"],
    [["--reference", "x".repeat(256)], /^reference must have at most 255 characters/],
    [["--reference", "a\nb"], /^reference may have letters, digits, punctuation and spaces/],
  ])("adjust 1 -2 %j", async (flags, message) => {
    const { code, stdout, stderr } = await adjust("1", "-2", ...flags, "--json");
    expect([code, stderr]).toEqual([2, ""]);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe("INVALID_REQUEST");
    if (typeof message === "string") expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
  });
});

describe("an idempotency key", () => {
  test("makes the change once, and says when it had been made", async () => {
    const before = await account(url);
    const args = ["1", "-2", "--idempotency-key", "order-17"];
    const first = await adjust(...args);
    const second = await adjust(...args);
    expect([first.code, first.stdout]).toEqual([0, "User 1: 10,000 → 9,998 (-2)\n"]);
    expect([second.code, second.stdout]).toEqual([
      0,
      "User 1: 10,000 → 9,998 (-2)  (answered before, under this key)\n",
    ]);
    expect(await account(url)).toEqual({
      balance: (before?.balance as number) - 2,
      entries: (before?.entries as number) + 1,
    });
  });

  test("for another request is refused", async () => {
    expect(await adjust("1", "-3", "--idempotency-key", "order-17")).toEqual({
      code: 3,
      stdout: "",
      stderr: `${connecting}balancectl: This Idempotency-Key was used before with a different request\n`,
    });
  });

  test("keeps a refusal a refusal", async () => {
    const args = ["1", "-20000", "--idempotency-key", "order-18", "--json"];
    const first = await adjust(...args);
    expect(first.code).toBe(3);
    await adjust("1", "50000");
    expect(await adjust(...args)).toEqual(first);
    await adjust("1", "-50000");
  });

  test("five times at once changes the balance once", async () => {
    const before = await account(url);
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => adjust("1", "-7", "--idempotency-key", "burst", "--json")),
    );
    expect(new Set(runs.map(({ code, stdout }) => `${code} ${stdout}`)).size).toBe(1);
    expect(runs[0]?.code).toBe(0);
    expect((await account(url))?.entries).toBe((before?.entries as number) + 1);
  });
});

test("five at once without a key are five changes", async () => {
  const before = await account(url);
  const runs = await Promise.all(Array.from({ length: 5 }, () => adjust("1", "-1")));
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  expect((await account(url))?.balance).toBe((before?.balance as number) - 5);
});

test("a database that cannot be reached is a failure, not a refusal", async () => {
  const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nowhere" };
  const message =
    "The database cannot be reached; nothing was changed (connect ECONNREFUSED 127.0.0.1:1)";
  expect(await balancectl(["adjust", "1", "2"], env)).toEqual({
    code: 1,
    stdout: "",
    stderr: `${connecting}balancectl: ${message}\n`,
  });
  expect(await balancectl(["adjust", "1", "2", "--json"], env)).toEqual({
    code: 1,
    stdout: `${JSON.stringify({ success: false, error: { code: "DATABASE_UNAVAILABLE", message } })}\n`,
    stderr: "",
  });
});

test("an outdated schema is a failure that says what to do", async () => {
  const empty = await createTestDatabase({ template: false });
  const { code, stderr } = await balancectl(["adjust", "1", "2"], { DATABASE_URL: empty });
  expect(code).toBe(1);
  expect(stderr).toMatch(/lacks 0001-users-and-entries, .*: run `balancectl migrate` first\n$/);
});

test("afterwards the journal adds up", async () => {
  expect(await journalFindings(url)).toEqual([]);
});
