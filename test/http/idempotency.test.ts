/** Idempotency-Key: a request that is sent again changes nothing and gets its first answer. */
import pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { asServerRole } from "../support/global-setup.ts";
import { exchange, withoutDetails } from "../support/http/client.ts";
import { hitAtOnce, type LoadAnswer, tally } from "../support/http/load.ts";
import { sendRaw } from "../support/http/raw.ts";
import { account, journalFindings, snapshot } from "../support/oracle/journal.ts";
import { balancectl, type RunningServer, startServer } from "../support/server/program.ts";

const url = await createTestDatabase();
const env = {
  DATABASE_URL: asServerRole(url),
  BALANCECTL_LOCK_TIMEOUT_MS: "200",
  LOG_LEVEL: "fatal",
};
const servers = (await Promise.all([startServer(env), startServer(env)])) as [
  RunningServer,
  RunningServer,
];
const [server] = servers;
const json = { "content-type": "application/json" };

let userId = 1;

/** A user of its own for each test: 10000 from one entry. */
beforeEach(async () => {
  userId = await createUser(10_000);
});

async function createUser(balance: number): Promise<number> {
  const { body } = await post({ balance });
  return body.data?.id as number;
}

function put(key: string | undefined, body: unknown, headers = {}, at = server) {
  return exchange(at.url, {
    method: "PUT",
    path: `/api/users/${userId}/balance`,
    headers: { ...json, ...(key !== undefined && { "idempotency-key": key }), ...headers },
    body: JSON.stringify(body),
  });
}

function post(body: unknown, key?: string, at = server) {
  return exchange<{ id: number; balance: number }>(at.url, {
    method: "POST",
    path: "/api/users",
    headers: { ...json, ...(key !== undefined && { "idempotency-key": key }) },
    body: JSON.stringify(body),
  });
}

async function userCount(): Promise<number> {
  const [row] = await psql<{ n: number }>(url, "SELECT count(*)::int AS n FROM users");
  return row?.n as number;
}

function operation(key: string, id = userId) {
  return exchange(server.url, { path: `/api/users/${id}/operations/${encodeURIComponent(key)}` });
}

function opening(key: string) {
  return exchange(server.url, { path: `/api/operations/${encodeURIComponent(key)}` });
}

/** The answer without what is a matter of the connection. */
function essence(answer: Awaited<ReturnType<typeof put>>) {
  const { status, text, headers } = answer;
  return { status, text, etag: headers.get("etag"), location: headers.get("location") };
}

function isReplay({ headers }: { headers: Headers }): boolean {
  const value = headers.get("idempotent-replayed");
  expect([null, "true"]).toContain(value);
  return value === "true";
}

describe("the same request again", () => {
  test("after a success: the same answer, marked as a replay, and no second change", async () => {
    const first = await put("a", { amount: -2 });
    expect([first.status, isReplay(first)]).toEqual([200, false]);
    await put(undefined, { amount: -5_000 });
    for (const at of [...servers, ...servers]) {
      const again = await put("a", { amount: -2 }, {}, at);
      expect(isReplay(again)).toBe(true);
      expect(essence(again)).toEqual(essence(first));
    }
    expect(await account(url, userId)).toEqual({ balance: 4_998, entries: 3 });
  });

  test("after a refusal: refused still, although there is money now", async () => {
    const first = await put("a", { amount: -20_000 });
    expect([first.status, first.body.error?.code]).toEqual([422, "INSUFFICIENT_FUNDS"]);
    await put(undefined, { amount: 50_000 });
    const again = await put("a", { amount: -20_000 });
    expect(isReplay(again)).toBe(true);
    expect(essence(again)).toEqual(essence(first));
    expect(await account(url, userId)).toEqual({ balance: 60_000, entries: 2 });
    expect((await put("b", { amount: -20_000 })).status).toBe(200);
  });

  test("after BALANCE_LIMIT_EXCEEDED: refused still, although there is room now", async () => {
    const amount = 9_007_199_254_740_991;
    const first = await put("a", { amount });
    expect([first.status, first.body.error?.code]).toEqual([422, "BALANCE_LIMIT_EXCEEDED"]);
    await put(undefined, { amount: -10_000 });
    const again = await put("a", { amount });
    expect(isReplay(again)).toBe(true);
    expect(essence(again)).toEqual(essence(first));
  });

  test("writes nothing at all", async () => {
    await put("a", { amount: -2 });
    await put("b", { amount: -20_000 });
    const before = await snapshot(url);
    await put("a", { amount: -2 });
    await put("b", { amount: -20_000 });
    expect(await snapshot(url)).toEqual(before);
  });

  test("with quotes is the one without", async () => {
    const first = await put("order-17", { amount: -2 });
    const again = await put('"order-17"', { amount: -2 });
    expect([isReplay(first), isReplay(again)]).toEqual([false, true]);
    expect(essence(again)).toEqual(essence(first));
  });

  test("with its fields in another order is the same", async () => {
    const metadata = { a: 1, b: { c: [1, 2], d: null } };
    const other = { b: { d: null, c: [1, 2] }, a: 1 };
    await put("a", { amount: -2, reference: "r", metadata });
    const again = await put("a", { metadata: other, reference: "r", amount: -2 });
    expect(isReplay(again)).toBe(true);
  });

  test("from the command line is the same", async () => {
    const key = "--idempotency-key=cli";
    const run = await balancectl(["adjust", String(userId), "-2", key, "--json"], env);
    const again = await put("cli", { amount: -2 });
    expect(isReplay(again)).toBe(true);
    expect(again.body).toEqual(JSON.parse(run.stdout));
    expect(await account(url, userId)).toEqual({ balance: 9_998, entries: 2 });
  });

  test("without a key is another one", async () => {
    await put(undefined, { amount: -2 });
    const again = await put(undefined, { amount: -2 });
    expect(isReplay(again)).toBe(false);
    expect(await account(url, userId)).toEqual({ balance: 9_996, entries: 3 });
  });
});

describe("a key for another request", () => {
  const request = { amount: -2, reference: "r", metadata: { a: 1 }, minBalance: 5 };

  test.each([
    ["amount", { ...request, amount: -3 }, {}],
    ["reference", { ...request, reference: "s" }, {}],
    ["no reference", { ...request, reference: undefined }, {}],
    ["metadata", { ...request, metadata: { a: 2 } }, {}],
    ["metadata of another type", { ...request, metadata: { a: "1" } }, {}],
    ["minBalance", { ...request, minBalance: 6 }, {}],
    ["If-Match", request, { "if-match": '"v2"' }],
  ])("by its %s: 422, and nothing is done", async (_name, other, headers) => {
    expect((await put("a", request)).status).toBe(200);
    const before = await snapshot(url);
    const { status, body } = await put("a", other, headers);
    expect([status, body.error]).toEqual([
      422,
      {
        code: "IDEMPOTENCY_KEY_REUSED",
        message: "This Idempotency-Key was used before with a different request",
      },
    ]);
    expect(await snapshot(url)).toEqual(before);
    expect(isReplay(await put("a", request))).toBe(true);
  });

  test("of another user is a key of its own", async () => {
    await put("a", { amount: -2 });
    userId = await createUser(10_000);
    const other = await put("a", { amount: -3 });
    expect([other.status, isReplay(other)]).toEqual([200, false]);
  });
});

describe("a malformed key", () => {
  const message = "Idempotency-Key must be 1 to 255 visible ASCII characters without spaces";

  test.each([
    ["empty", ""],
    ["empty in quotes", '""'],
    ["a blank inside", "a b"],
    ["a tab inside", "a\tb"],
    ["too long", "k".repeat(256)],
    ["too long in quotes", `"${"k".repeat(256)}"`],
  ])("%s", async (_name, key) => {
    const { status, body } = await put(key, { amount: -2 });
    expect([status, withoutDetails(body).error]).toEqual([
      400,
      { code: "INVALID_REQUEST", message },
    ]);
    expect(await account(url, userId)).toEqual({ balance: 10_000, entries: 1 });
  });

  test.each([
    ["beyond ASCII", Buffer.from("Idempotency-Key: ключ\r\n")],
    ["Latin-1", Buffer.from("Idempotency-Key: \u00e9\r\n", "latin1")],
    ["two at once", Buffer.from("Idempotency-Key: a\r\nIdempotency-Key: b\r\n")],
    ["the same twice", Buffer.from("Idempotency-Key: a\r\nIdempotency-Key: a\r\n")],
  ])("%s", async (_name, header) => {
    const request = Buffer.concat([
      Buffer.from(
        `PUT /api/users/${userId}/balance HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
          "Content-Type: application/json\r\nContent-Length: 13\r\n",
      ),
      header,
      Buffer.from('\r\n{"amount":-2}'),
    ]);
    const [answer] = await sendRaw(server.url, request);
    expect([answer?.status, withoutDetails(JSON.parse(answer?.body ?? "{}")).error]).toEqual([
      400,
      { code: "INVALID_REQUEST", message },
    ]);
    expect(await account(url, userId)).toEqual({ balance: 10_000, entries: 1 });
  });

  test.each([
    ["255 characters", "k".repeat(255)],
    ["255 characters in quotes", `"${"k".repeat(255)}"`],
    [
      "every visible character",
      Array.from({ length: 94 }, (_, n) => String.fromCharCode(33 + n)).join(""),
    ],
    ["what looks like SQL", "');DROP/**/TABLE/**/users;--"],
    ["one that JavaScript knows", "__proto__"],
  ])("is not %s", async (_name, key) => {
    expect((await put(key, { amount: -2 })).status).toBe(200);
    expect(isReplay(await put(key, { amount: -2 }))).toBe(true);
    expect(await account(url, userId)).toEqual({ balance: 9_998, entries: 2 });
  });
});

describe("is not stored:", () => {
  test.each([
    ["a wrong amount", '{"amount":0}', 400],
    ["no JSON", "{", 400],
    ["an unknown field", '{"amount":-2,"x":1}', 400],
  ])("%s", async (_name, body, status) => {
    const wrong = await exchange(server.url, {
      method: "PUT",
      path: `/api/users/${userId}/balance`,
      headers: { ...json, "idempotency-key": "a" },
      body,
    });
    expect(wrong.status).toBe(status);
    const right = await put("a", { amount: -2 });
    expect([right.status, isReplay(right)]).toEqual([200, false]);
  });

  test("an unknown user, who may come to be", async () => {
    userId = 123_456;
    expect((await put("a", { amount: 2 })).status).toBe(404);
    expect((await post({ id: userId })).status).toBe(201);
    const right = await put("a", { amount: 2 });
    expect([right.status, isReplay(right)]).toEqual([200, false]);
  });

  test("a 503", async () => {
    const person = new pg.Client(url);
    await person.connect();
    await person.query("BEGIN");
    await person.query("SELECT FROM users WHERE id = $1 FOR UPDATE", [userId]);
    expect((await put("a", { amount: -2 })).status).toBe(503);
    await person.end();
    const right = await put("a", { amount: -2 });
    expect([right.status, isReplay(right)]).toEqual([200, false]);
    expect(await account(url, userId)).toEqual({ balance: 9_998, entries: 2 });
  });
});

describe("a key behind many headers", () => {
  test("is seen", async () => {
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`x-${n}`, "1"]));
    const headers = { ...many, "idempotency-key": "late" };
    const statuses = [
      (await put(undefined, { amount: -2 }, headers)).status,
      (await put(undefined, { amount: -2 }, headers)).status,
    ];
    // Either it counts, or the request is refused; it is never dropped without a word.
    expect([
      [200, 200],
      [431, 431],
    ]).toContainEqual(statuses);
    const entries = statuses[0] === 200 ? 2 : 1;
    expect((await account(url, userId))?.entries).toBe(entries);
  });
});

describe("twins at the same time", () => {
  async function twins(at: readonly RunningServer[], count: number) {
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) =>
        put("twin", { amount: -2 }, {}, at[n % at.length] as RunningServer),
      ),
    );
    expect(answers.filter((answer) => !isReplay(answer)).length).toBe(1);
    expect(new Set(answers.map((answer) => JSON.stringify(essence(answer)))).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    expect(await account(url, userId)).toEqual({ balance: 9_998, entries: 2 });
  }

  test("fifty in one process: one change, fifty equal answers", async () => {
    await twins([server], 50);
  });

  test("fifty through two processes: one change, fifty equal answers", async () => {
    await twins(servers, 50);
  });

  test("with different requests: one is made, the others are told", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        put("twin", { amount: -1 - n }, {}, servers[n % 2] as RunningServer),
      ),
    );
    const codes = answers.map(({ status, body }) => [status, body.error?.code]);
    expect(codes.filter(([status]) => status === 200).length).toBe(1);
    expect(codes.filter(([, code]) => code === "IDEMPOTENCY_KEY_REUSED").length).toBe(19);
    expect((await account(url, userId))?.entries).toBe(2);
  });

  test("10,000 pairs on 10000, each request once to each process: exactly 5,000 debits", async () => {
    const requests = Array.from({ length: 20_000 }, (_, n) => ({
      userId,
      amount: -2,
      headers: { "idempotency-key": `pair-${Math.floor(n / 2)}` },
    }));
    const answers = await hitAtOnce(
      servers.map((one) => one.url),
      requests,
      500,
    );
    expect(tally(answers)).toEqual({ "200": 10_000, "422 INSUFFICIENT_FUNDS": 10_000 });
    const unequal = answers.filter((answer, n) => {
      const twin = answers[n % 2 === 0 ? n + 1 : n - 1] as LoadAnswer;
      return answer.status !== twin.status || answer.body !== twin.body;
    });
    expect(unequal).toEqual([]);
    expect(answers.filter(({ replayed }) => replayed).length).toBe(10_000);
    expect(await account(url, userId)).toEqual({ balance: 0, entries: 5_001 });
    const [stored] = await psql(
      url,
      `SELECT count(*)::int AS keys, count(refusal)::int AS refused
         FROM idempotency_keys WHERE user_id = $1`,
      [userId],
    );
    expect(stored).toEqual({ keys: 10_000, refused: 5_000 });
    expect(await journalFindings(url)).toEqual([]);
  });
});

describe("opening a user", () => {
  test("again: the same user, the same answer", async () => {
    const before = await userCount();
    const first = await post({ balance: 70 }, "open-1");
    expect([first.status, isReplay(first)]).toEqual([201, false]);
    for (const at of servers) {
      const again = await post({ balance: 70 }, "open-1", at);
      expect(isReplay(again)).toBe(true);
      expect(essence(again)).toEqual(essence(first));
    }
    expect(await userCount()).toBe(before + 1);
  });

  test("with another balance or id: 422", async () => {
    await post({ balance: 70 }, "open-2");
    for (const body of [{ balance: 71 }, { balance: 70, id: 900_000 }, {}]) {
      const { status, body: answer } = await post(body, "open-2");
      expect([status, answer.error?.code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    }
  });

  test("a user's key and a key of an opening are not the same", async () => {
    await post({ balance: 70 }, "open-3");
    const other = await put("open-3", { amount: -2 });
    expect([other.status, isReplay(other)]).toEqual([200, false]);
  });

  test("of an id that is taken is not stored", async () => {
    const { status, body } = await post({ id: userId, balance: 1 }, "open-4");
    expect([status, body.error?.code]).toEqual([409, "USER_EXISTS"]);
    const right = await post({ balance: 1 }, "open-4");
    expect([right.status, isReplay(right)]).toEqual([201, false]);
  });

  test("forty twins through two processes: one user", async () => {
    const before = await userCount();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        post({ balance: 9 }, "open-5", servers[n % 2] as RunningServer),
      ),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(essence(answer)))).size).toBe(1);
    expect(answers[0]?.status).toBe(201);
    expect(answers.filter((answer) => !isReplay(answer)).length).toBe(1);
    expect(await userCount()).toBe(before + 1);
  });
});

describe("what became of my request", () => {
  test("it was made", async () => {
    await put("a/b c".replace(" ", "+"), { amount: -2 });
    const { status, body } = await operation("a/b+c");
    expect([status, body.data]).toEqual([
      200,
      {
        userId,
        key: "a/b+c",
        kind: "adjustment",
        outcome: "applied",
        amount: -2,
        balance: 9_998,
        version: 2,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    ]);
  });

  test("it was refused", async () => {
    await put("a", { amount: -20_000 });
    const { status, body } = await operation("a");
    expect([status, body.data]).toEqual([
      200,
      expect.objectContaining({ outcome: "INSUFFICIENT_FUNDS", amount: -20_000, balance: 10_000 }),
    ]);
  });

  test.each(["open-7", "o'pen\\-7", "%27"])("it opened a user, under %s", async (key) => {
    const opened = await post({ balance: 70 }, key);
    const { status, body } = await opening(key);
    expect([status, body.data]).toEqual([
      200,
      {
        userId: opened.body.data?.id,
        key,
        kind: "opening",
        outcome: "applied",
        amount: 70,
        balance: 70,
        version: 1,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    ]);
    expect((await operation(key, opened.body.data?.id)).status).toBe(404);
  });

  test("a key that paid opened nobody", async () => {
    await put("a", { amount: -2 });
    const { status, body } = await opening("a");
    expect([status, body.error?.code]).toEqual([404, "OPERATION_NOT_FOUND"]);
  });

  test("under one key, of three users: three changes", async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await post({ balance: 9 })).body.data?.id),
    );
    for (const id of ids) {
      const path = `/api/users/${id}/balance`;
      const headers = { ...json, "idempotency-key": "order-17" };
      const paid = await exchange(server.url, {
        method: "PUT",
        path,
        headers,
        body: '{"amount":-2}',
      });
      expect([paid.status, isReplay(paid)]).toEqual([200, false]);
      expect((await operation("order-17", id)).body.data).toMatchObject({ userId: id, balance: 7 });
    }
  });

  test("nothing is known of it", async () => {
    await put("a", { amount: 0 });
    const error = {
      code: "OPERATION_NOT_FOUND",
      message: "No operation is stored under this Idempotency-Key",
    };
    for (const [key, id] of [
      ["a", userId],
      ["never", userId],
      ["a", 999_999],
    ] as const) {
      const { status, body } = await operation(key, id);
      expect([status, body.error]).toEqual([404, error]);
    }
  });

  test.each(["a b", "ключ", "k".repeat(256)])("the key %s is none", async (key) => {
    const { status, body } = await operation(key);
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.error?.message).toMatch(/^path: key must be 1 to 255 visible ASCII/);
  });
});
