/** GET /api/users/:userId and PUT /api/users/:userId/balance, to the letter. */
import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { asServerRole } from "../support/global-setup.ts";
import { type Exchange, exchange } from "../support/http/client.ts";
import { sendRaw } from "../support/http/raw.ts";
import { account, journalFindings, snapshot } from "../support/oracle/journal.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

const url = await createTestDatabase();
const server: RunningServer = await startServer({ DATABASE_URL: asServerRole(url) });
const json = { "content-type": "application/json" };

let userId = 1;

/** A user of its own for each test, as user 1 is at first: 10000 from one entry. */
beforeEach(async () => {
  const { body } = await exchange<{ id: number }>(server.url, {
    method: "POST",
    path: "/api/users",
    headers: json,
    body: '{"balance":10000}',
  });
  userId = body.data?.id as number;
});

function put(body: unknown, headers: Exchange["headers"] = {}) {
  return exchange(server.url, {
    method: "PUT",
    path: `/api/users/${userId}/balance`,
    headers: { ...json, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

function get() {
  return exchange(server.url, { path: `/api/users/${userId}` });
}

test("the two endpoints keep their shapes to the letter", async () => {
  userId = 1;
  const before = await get();
  expect([before.status, before.text]).toEqual([
    200,
    '{"success":true,"data":{"id":1,"balance":10000}}',
  ]);
  const taken = await put('{"amount":-2}');
  expect([taken.status, taken.text]).toEqual([
    200,
    '{"success":true,"data":{"id":1,"balance":9998,"previousBalance":10000,"amount":-2}}',
  ]);
  const refused = await put('{"amount":-9999}');
  expect([refused.status, refused.text]).toEqual([
    422,
    '{"success":false,"error":{"code":"INSUFFICIENT_FUNDS","message":"Insufficient funds for this operation"}}',
  ]);
  expect((await get()).text).toBe('{"success":true,"data":{"id":1,"balance":9998}}');
});

test("an answer says what it is and nothing about what made it", async () => {
  const { headers, text } = await put({ amount: 1 });
  expect([...headers.keys()].sort()).toEqual([
    ...["cache-control", "connection", "content-length", "content-type"],
    ...["cross-origin-resource-policy", "date", "etag", "keep-alive", "x-content-type-options"],
    "x-request-id",
  ]);
  expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
});

test("a withdrawal may take everything and not one more", async () => {
  expect((await put({ amount: -10_001 })).status).toBe(422);
  expect((await put({ amount: -10_000 })).body.data).toEqual({
    id: userId,
    balance: 0,
    previousBalance: 10_000,
    amount: -10_000,
  });
  expect((await put({ amount: -1 })).status).toBe(422);
  expect(await account(url, userId)).toEqual({ balance: 0, entries: 2 });
});

test("a balance may reach 9007199254740991 and not one more", async () => {
  const room = 9_007_199_254_740_991 - 10_000;
  const beyond = await put({ amount: room + 1 });
  expect([beyond.status, beyond.body.error]).toEqual([
    422,
    { code: "BALANCE_LIMIT_EXCEEDED", message: "The balance would exceed 9007199254740991" },
  ]);
  const full = await put({ amount: room });
  expect(full.text).toBe(
    `{"success":true,"data":{"id":${userId},"balance":9007199254740991,"previousBalance":10000,"amount":${room}}}`,
  );
  expect((await put({ amount: 1 })).body.error?.code).toBe("BALANCE_LIMIT_EXCEEDED");
  expect((await put({ amount: 9_007_199_254_740_991 })).status).toBe(422);
  const emptied = await put({ amount: -9_007_199_254_740_991 });
  expect(emptied.text).toBe(
    `{"success":true,"data":{"id":${userId},"balance":0,"previousBalance":9007199254740991,"amount":-9007199254740991}}`,
  );
});

test.each([
  ["-2", -2],
  ["-2.0", -2],
  ["-0.2e1", -2],
  ["1e2", 100],
  ["  5 ", 5],
])("amount %s is the whole number %i", async (text, amount) => {
  const { body } = await put(`{"amount":${text}}`);
  expect(body.data).toEqual({
    id: userId,
    balance: 10_000 + amount,
    previousBalance: 10_000,
    amount,
  });
});

test.each([
  ['{"amount":-2.0}', "a fraction of nothing"],
  ['{"amount":-20e-1}', "an exponent"],
  ['\u{feff}{"amount":-2}', "a byte order mark"],
  [' \r\n\t{ "amount" : -2 } ', "blanks"],
])("%j is -2: %s", async (text) => {
  const { body } = await put(text);
  expect(body.data).toMatchObject({ balance: 9_998, amount: -2 });
});

test("a user id may be percent-encoded", async () => {
  const path = `/api/users/${[...String(userId)].map((digit) => `%3${digit}`).join("")}`;
  const { text } = await exchange(server.url, { path });
  expect(text).toBe(`{"success":true,"data":{"id":${userId},"balance":10000}}`);
});

test("every change is one entry; a refusal is none", async () => {
  await put({ amount: -3_000 });
  await put({ amount: -8_000 });
  await put({ amount: 500, reference: "top-up 7", metadata: { by: "ann" } });
  const entries = await psql(
    url,
    `SELECT version::int, amount::int, balance::int, kind, reference, metadata
       FROM entries WHERE user_id = $1 ORDER BY version`,
    [userId],
  );
  const plain = { reference: null, metadata: null };
  expect(entries).toEqual([
    { version: 1, amount: 10_000, balance: 10_000, kind: "opening", ...plain },
    { version: 2, amount: -3_000, balance: 7_000, kind: "adjustment", ...plain },
    {
      version: 3,
      amount: 500,
      balance: 7_500,
      kind: "adjustment",
      reference: "top-up 7",
      metadata: { by: "ann" },
    },
  ]);
});

test("a refused change leaves every table as it was", async () => {
  const before = await snapshot(url);
  expect((await put({ amount: -10_001 })).status).toBe(422);
  expect((await put({ amount: 9_007_199_254_740_991 })).status).toBe(422);
  expect((await put({ amount: -1 }, { "if-match": '"v2"' })).status).toBe(412);
  expect((await put({ amount: -1, minBalance: 10_000 })).status).toBe(422);
  userId = 999_999;
  expect((await put({ amount: 1 })).status).toBe(404);
  expect(await snapshot(url)).toEqual(before);
});

describe("conditions", () => {
  test("minBalance is what must be left", async () => {
    const refused = await put({ amount: -5_000, minBalance: 5_001 });
    expect([refused.status, refused.body.error?.code]).toEqual([422, "INSUFFICIENT_FUNDS"]);
    const made = await put({ amount: -5_000, minBalance: 5_000 });
    expect(made.body.data).toMatchObject({ balance: 5_000 });
  });

  test("ETag is the user's version, and If-Match insists on it", async () => {
    const { headers } = await get();
    expect(headers.get("etag")).toBe('"v1"');
    const made = await put({ amount: -1 }, { "if-match": '"v1"' });
    expect([made.status, made.headers.get("etag")]).toEqual([200, '"v2"']);
    const late = await put({ amount: -1 }, { "if-match": '"v1"' });
    expect([late.status, late.body.error?.code]).toEqual([412, "PRECONDITION_FAILED"]);
    expect((await put({ amount: -1 }, { "if-match": "*" })).status).toBe(200);
    expect(await account(url, userId)).toEqual({ balance: 9_998, entries: 3 });
  });

  test.each(["v1", '"1"', "W/v1", '"v1", "v2"', '"v-1"', '"v1.0"', ""])(
    "If-Match %j is refused",
    async (value) => {
      const { status, body } = await put({ amount: -1 }, { "if-match": value });
      expect([status, body.error]).toEqual([
        400,
        {
          code: "INVALID_REQUEST",
          message: 'If-Match must be one ETag as GET /api/users/:userId gives it, like "v12"',
        },
      ]);
      expect(await account(url, userId)).toEqual({ balance: 10_000, entries: 1 });
    },
  );
});

test("a change that was made is never answered by a refusal of what followed it", async () => {
  const body = '{"amount":-2}';
  const answers = await sendRaw(
    server.url,
    `PUT /api/users/${userId}/balance HTTP/1.1\r\nHost: localhost\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
      "\0garbage\r\n\r\n",
  );
  // No answer at all is honest: who asked has to look.
  expect(answers[0]?.status ?? 200).toBe(200);
});

test("afterwards the journal adds up", async () => {
  expect(await journalFindings(url)).toEqual([]);
});
