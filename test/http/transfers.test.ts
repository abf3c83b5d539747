/** Transfers over HTTP: both sides or none, one at a time and up to 500 together. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { createApiClient, expectError, unknownUuid, uuidV7Shape } from "../support/http/client.ts";
import { journalFindings } from "../support/oracle/journal.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
const server = await serveInProcess(databaseUrl);
const api = createApiClient(server.url);

const max = Number.MAX_SAFE_INTEGER;
const nobody = 1_234_567_890_123;
let a = 0;
let b = 0;

beforeEach(async () => {
  a = await api.openUser(100);
  b = await api.openUser(10);
});
afterEach(async () => {
  expect(await journalFindings(databaseUrl)).toEqual([]);
});

interface Transfer {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
  readonly balance: number;
  readonly createdAt: string;
}

const insufficient = "Insufficient funds for this operation";
const limit = "The balance would exceed 9007199254740991";
const whole = (min: number, it: string) =>
  `must be a whole number from ${min} to ${max} (it is ${it})`;

describe("POST /api/transfers", () => {
  test("moves the amount and tells the payer's balance and where the transfer is", async () => {
    const { status, headers, body } = await api.post<Transfer>("/api/transfers", {
      ...{ from: a, to: b, amount: 30 },
      ...{ reference: "invoice 9", metadata: { lines: [1, 2] } },
    });
    const { id } = body.data as Transfer;
    expect(id).toMatch(uuidV7Shape);
    expect([status, headers.get("location"), body]).toEqual([
      201,
      `/api/transfers/${id}`,
      { success: true, data: { id, from: a, to: b, amount: 30, balance: 70 } },
    ]);
    const [paid] = await api.entriesOf(a);
    const [received] = await api.entriesOf(b);
    const common = { version: 2, kind: "transfer", transferId: id, createdAt: paid?.createdAt };
    const context = { reference: "invoice 9", metadata: { lines: [1, 2] } };
    expect(paid).toEqual({ ...common, ...context, amount: -30, balance: 70 });
    expect(received).toEqual({ ...common, ...context, amount: 30, balance: 40 });
    const shown = await api.get(`/api/transfers/${id.toUpperCase()}`);
    expect(shown.body).toEqual({
      success: true,
      data: { id, from: a, to: b, amount: 30, ...context, createdAt: paid?.createdAt },
    });
  });

  test("all that a user has, to the last unit, and up to the limit of the other", async () => {
    const rich = await api.openUser(max - 100);
    const made = await api.post<Transfer>("/api/transfers", { from: a, to: rich, amount: 100 });
    expect([made.status, made.body.data?.balance]).toEqual([201, 0]);
    expect(await api.balanceOf(rich)).toBe(max);
  });

  test("refused for a reason that is told, and nothing is stored", async () => {
    const full = await api.openUser(max);
    const before = await tables.fingerprint();
    const pay = (from: number, to: number, amount: number) =>
      api.post("/api/transfers", { from, to, amount });
    expectError(await pay(a, b, 101), "INSUFFICIENT_FUNDS", insufficient);
    expectError(await pay(a, full, 1), "BALANCE_LIMIT_EXCEEDED", limit);
    expectError(await pay(nobody, b, 1), "USER_NOT_FOUND", `User ${nobody} not found`);
    expectError(await pay(a, nobody, 1), "USER_NOT_FOUND", `User ${nobody} (to) not found`);
    expectError(await pay(nobody, nobody + 1, 1), "USER_NOT_FOUND", `User ${nobody} not found`);
    expect(await tables.fingerprint()).toBe(before);
  });

  test("a key belongs to the payer: the same answer again, and another transfer is refused", async () => {
    const key = { "Idempotency-Key": "pay-1" };
    const body = { from: a, to: b, amount: 60 };
    const first = await api.post<Transfer>("/api/transfers", body, key);
    const again = await api.post<Transfer>("/api/transfers", body, key);
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([
      null,
      "true",
    ]);
    expect(again.headers.get("location")).toBe(`/api/transfers/${first.body.data?.id}`);
    const other = await api.post("/api/transfers", { ...body, amount: 61 }, key);
    expectError(
      other,
      "IDEMPOTENCY_KEY_REUSED",
      "This Idempotency-Key was used before with a different request",
    );
    // b pays under the same key: a key of b's own.
    const back = await api.post<Transfer>("/api/transfers", { from: b, to: a, amount: 70 }, key);
    expect([back.status, back.body.data?.balance]).toEqual([201, 0]);
    const refused = { from: b, to: a, amount: 1 };
    const no = { "Idempotency-Key": "pay-2" };
    expect((await api.post("/api/transfers", refused, no)).status).toBe(422);
    await api.put(`/api/users/${b}/balance`, { amount: 50 });
    const still = await api.post("/api/transfers", refused, no);
    expectError(still, "INSUFFICIENT_FUNDS", insufficient);
    expect(still.headers.get("idempotent-replayed")).toBe("true");
  });
});

describe("GET /api/transfers/:id", () => {
  test("knows transfers and nothing else", async () => {
    const hold = await api.post<{ id: string }>(`/api/users/${a}/holds`, { amount: 1 });
    for (const id of [unknownUuid, hold.body.data?.id]) {
      expectError(
        await api.get(`/api/transfers/${id}`),
        "TRANSFER_NOT_FOUND",
        "Transfer not found",
      );
    }
    for (const id of ["1", "x", `${unknownUuid}0`, "'; DROP TABLE entries; --"]) {
      const answer = await api.get(`/api/transfers/${encodeURIComponent(id)}`);
      const shown = JSON.stringify(id);
      expectError(answer, "INVALID_REQUEST", `path: id must be a UUID (it is ${shown})`);
    }
  });

  test("other methods are told what is possible", async () => {
    for (const [path, allow] of [
      ["/api/transfers", "POST"],
      ["/api/transfers/batch", "POST"],
      [`/api/transfers/${unknownUuid}`, "GET, HEAD"],
    ] as const) {
      const { status, headers } = await api.put(path, {});
      expect([path, status, headers.get("allow")]).toEqual([path, 405, allow]);
    }
  });
});

describe("POST /api/transfers/batch", () => {
  const leg = (from: number, to: number, amount: number) => ({ from, to, amount });
  const batch = (transfers: unknown[], headers = {}) =>
    api.post<{ transfers: Transfer[] }>("/api/transfers/batch", { transfers }, headers);

  test("legs apply in order, each against what the ones before it left", async () => {
    const [c, d] = [await api.openUser(0), await api.openUser(0)];
    const { status, body } = await batch([
      { ...leg(a, c, 100), reference: "first" },
      leg(c, d, 100),
      { ...leg(d, a, 40), metadata: { part: 3 } },
    ]);
    const ids = (body.data?.transfers ?? []).map(({ id }) => id);
    expect([status, body.data?.transfers]).toEqual([
      201,
      [
        { id: ids[0], ...leg(a, c, 100) },
        { id: ids[1], ...leg(c, d, 100) },
        { id: ids[2], ...leg(d, a, 40) },
      ],
    ]);
    expect(ids.map((id) => id.slice(-4))).toEqual(["0000", "0001", "0002"]);
    expect(new Set(ids.map((id) => id.slice(0, -4))).size).toBe(1);
    expect(await Promise.all([a, c, d].map(api.balanceOf))).toEqual([40, 0, 60]);
    const shown = await Promise.all(ids.map((id) => api.get<Transfer>(`/api/transfers/${id}`)));
    const createdAt = shown[0]?.body.data?.createdAt;
    expect(shown.map(({ body: { data } }) => data)).toEqual([
      { id: ids[0], ...leg(a, c, 100), reference: "first", createdAt },
      { id: ids[1], ...leg(c, d, 100), createdAt },
      { id: ids[2], ...leg(d, a, 40), metadata: { part: 3 }, createdAt },
    ]);
  });

  test("500 legs at once", async () => {
    const legs = Array.from({ length: 500 }, (_, index) =>
      index % 2 === 0 ? leg(a, b, 100) : leg(b, a, 100),
    );
    const { status, body } = await batch(legs);
    expect([status, body.data?.transfers.length]).toEqual([201, 500]);
    expect([await api.balanceOf(a), await api.balanceOf(b)]).toEqual([100, 10]);
    const last = body.data?.transfers[499] as Transfer;
    expect(last.id.slice(-4)).toBe("01f3");
    expect((await api.get<Transfer>(`/api/transfers/${last.id}`)).body.data).toMatchObject(
      leg(b, a, 100),
    );
    expect((await api.entriesOf(a)).length).toBe(500);
  });

  test("501 legs are too many", async () => {
    const answer = await batch(Array.from({ length: 501 }, () => leg(a, b, 1)));
    const message = "transfers must have at most 500 transfers (it is an array)";
    expectError(answer, "INVALID_REQUEST", message);
    expect(await api.balanceOf(a)).toBe(100);
  });

  test("one leg that fails is named, and none is made", async () => {
    const full = await api.openUser(max);
    const before = await tables.fingerprint();
    const good = [leg(a, b, 1), leg(b, a, 1)];
    expectError(
      await batch([...good, leg(a, b, 101)]),
      "INSUFFICIENT_FUNDS",
      `transfers.2: ${insufficient}`,
    );
    expectError(
      await batch([leg(a, b, 101), ...good]),
      "INSUFFICIENT_FUNDS",
      `transfers.0: ${insufficient}`,
    );
    expectError(
      await batch([...good, leg(a, full, 1)]),
      "BALANCE_LIMIT_EXCEEDED",
      `transfers.2: ${limit}`,
    );
    expectError(
      await batch([...good, leg(a, nobody, 1), ...good]),
      "USER_NOT_FOUND",
      `transfers.2: User ${nobody} (to) not found`,
    );
    expectError(
      await batch([...good, leg(nobody, a, 1)]),
      "USER_NOT_FOUND",
      `transfers.2: User ${nobody} not found`,
    );
    const floor = { ...leg(b, a, 1), minBalance: 10 };
    expectError(
      await batch([...good, floor]),
      "INSUFFICIENT_FUNDS",
      `transfers.2: ${insufficient}`,
    );
    expect(await tables.fingerprint()).toBe(before);
  });

  test("the key of a batch is that of its first payer", async () => {
    const key = { "Idempotency-Key": "batch-1" };
    const legs = [leg(a, b, 50), leg(b, a, 60)];
    const first = await batch(legs, key);
    const again = await batch(legs, key);
    expect([again.status, again.body, again.headers.get("idempotent-replayed")]).toEqual([
      201,
      first.body,
      "true",
    ]);
    const other = await batch([...legs].reverse(), { "Idempotency-Key": "batch-1" });
    // Its first payer is b, who has not used that key.
    expectError(other, "INSUFFICIENT_FUNDS", `transfers.0: ${insufficient}`);
    const changed = await batch([leg(a, b, 50), leg(b, a, 59)], key);
    expectError(
      changed,
      "IDEMPOTENCY_KEY_REUSED",
      "This Idempotency-Key was used before with a different request",
    );
    expect(await api.balanceOf(a)).toBe(110);
    const refused = await batch([leg(a, b, 1), leg(a, b, 1_000)], { "Idempotency-Key": "batch-2" });
    await api.put(`/api/users/${a}/balance`, { amount: 10_000 });
    const still = await batch([leg(a, b, 1), leg(a, b, 1_000)], { "Idempotency-Key": "batch-2" });
    expect([still.status, still.body]).toEqual([refused.status, refused.body]);
    expectError(still, "INSUFFICIENT_FUNDS", `transfers.1: ${insufficient}`);
  });
});

describe("bad input is refused at the edge: what is wrong is named, and nothing is stored", () => {
  const single: [what: string, body: object, message: string][] = [
    ["the same user", { from: 1, to: 1, amount: 1 }, "to must not be the user who pays (it is 1)"],
    ["zero", { from: 1, to: 2, amount: 0 }, `amount ${whole(1, "0")}`],
    ["a negative amount", { from: 1, to: 2, amount: -5 }, `amount ${whole(1, "-5")}`],
    ["a fraction", { from: 1, to: 2, amount: 2.5 }, `amount ${whole(1, "2.5")}`],
    ["too much", { from: 1, to: 2, amount: 2 ** 53 }, `amount ${whole(1, "9007199254740992")}`],
    ["text for an amount", { from: 1, to: 2, amount: "5" }, `amount ${whole(1, '"5"')}`],
    ["null for an amount", { from: 1, to: 2, amount: null }, `amount ${whole(1, "null")}`],
    [
      "no amount",
      { from: 1, to: 2 },
      `amount is missing: it must be a whole number from 1 to ${max}`,
    ],
    [
      "no payer",
      { to: 2, amount: 1 },
      `from is missing: it must be a whole number from 1 to ${max}`,
    ],
    [
      "no recipient",
      { from: 1, amount: 1 },
      `to is missing: it must be a whole number from 1 to ${max}`,
    ],
    ["user 0", { from: 0, to: 2, amount: 1 }, `from ${whole(1, "0")}`],
    ["a user by name", { from: 1, to: "2", amount: 1 }, `to ${whole(1, '"2"')}`],
    [
      "a user beyond numbers",
      { from: 1, to: 2 ** 60, amount: 1 },
      `to ${whole(1, String(2 ** 60))}`,
    ],
    ["a field too many", { from: 1, to: 2, amount: 1, fee: 1 }, 'body has no field "fee"'],
    [
      "a negative floor",
      { from: 1, to: 2, amount: 1, minBalance: -1 },
      `minBalance ${whole(0, "-1")}`,
    ],
    [
      "an emoji reference",
      { from: 1, to: 2, amount: 1, reference: "🍕" },
      'reference may have letters, digits, punctuation and spaces; no control characters and no emoji (it is "🍕")',
    ],
    [
      "metadata that is a list",
      { from: 1, to: 2, amount: 1, metadata: [] },
      "metadata must be a JSON object (it is an array)",
    ],
  ];

  test.each(single)("%s", async (_what, body, message) => {
    const before = await tables.fingerprint();
    const key = { "Idempotency-Key": "bad" };
    expectError(await api.post("/api/transfers", body, key), "INVALID_REQUEST", message);
    // The same as a leg of a batch says which leg.
    const legs = { transfers: [{ from: a, to: b, amount: 1 }, body] };
    const inBatch = message.startsWith("body ")
      ? message.replace("body", "transfers.1")
      : `transfers.1.${message}`;
    expectError(await api.post("/api/transfers/batch", legs, key), "INVALID_REQUEST", inBatch);
    expect(await tables.fingerprint()).toBe(before);
  });

  test.each([
    [
      "an empty batch",
      { transfers: [] },
      "transfers must have at least one transfer (it is an array)",
    ],
    ["no batch", {}, "transfers is missing: it must be an array of transfers"],
    [
      "a batch that is none",
      { transfers: {} },
      "transfers must be an array of transfers (it is an object)",
    ],
    [
      "a key inside",
      { transfers: [{ from: 1, to: 2, amount: 1 }], key: 1 },
      'body has no field "key"',
    ],
    ["a list", [], "body must be a JSON object (it is an array)"],
  ])("%s", async (_what, body, message) => {
    const before = await tables.fingerprint();
    expectError(await api.post("/api/transfers/batch", body), "INVALID_REQUEST", message);
    expect(await tables.fingerprint()).toBe(before);
  });
});
