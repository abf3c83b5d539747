/** What errors tell programs, and in which form. */
import { describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { lockUser } from "../support/database/locked-user.ts";
import { createApiClient, exchange, unknownUuid } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const { url } = await serveInProcess(databaseUrl, { lockTimeoutMs: 100 });
const client = createApiClient(url);
const json = { "content-type": "application/json" };

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send({ method = "POST", path, body, headers = {} }: Sent) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const isSent = body !== undefined;
  return await exchange(url, {
    ...{ method, path, headers: { ...(isSent && json), ...headers } },
    ...(isSent && { body: text }),
  });
}

async function detailsOf(sent: Sent): Promise<unknown> {
  return (await send(sent)).body.error?.details;
}

describe("to the letter", () => {
  test.each([
    ["alone", {}, {}],
    ["under a key", {}, { "idempotency-key": "k" }],
    ["with a reference", { reference: "order 17" }, {}],
    ["for who takes anything", {}, { accept: "*/*" }],
    ["for who takes no problems", {}, { accept: "application/json, application/problem+json;q=0" }],
  ])("a plain refusal has no word more: %s", async (_name, more, headers) => {
    const id = await client.openUser(1);
    const path = `/api/users/${id}/balance`;
    const { status, text } = await send({
      ...{ method: "PUT", path, headers, body: { amount: -2, ...more } },
    });
    expect(status).toBe(422);
    expect(text).toBe(
      '{"success":false,"error":{"code":"INSUFFICIENT_FUNDS","message":"Insufficient funds for this operation"}}',
    );
  });
});

describe("insufficient funds", () => {
  const message = "Less than minBalance would be left";

  test("is told apart from what minBalance keeps", async () => {
    const id = await client.openUser(100);
    const put = (body: unknown, headers = {}) =>
      send({ method: "PUT", path: `/api/users/${id}/balance`, body, headers });
    const facts = { balance: 100, version: 1 };
    expect((await put({ amount: -60, minBalance: 50 })).body.error).toEqual({
      ...{ code: "INSUFFICIENT_FUNDS", message },
      details: { rule: "minBalance", needed: 110, ...facts },
    });
    expect((await put({ amount: -101, minBalance: 50 })).body.error).toEqual({
      ...{ code: "INSUFFICIENT_FUNDS", message: "Insufficient funds for this operation" },
      details: { rule: "balance", needed: 151, ...facts },
    });
    expect((await put({ amount: -101 }, { "if-match": '"v1"' })).body.error?.details).toEqual({
      ...{ rule: "balance", needed: 101, ...facts },
    });
  });

  test("of transfers, holds and captures", async () => {
    const [from, to] = [await client.openUser(10), await client.openUser(0)];
    const facts = { balance: 10, version: 1 };
    const transfer = { from, to, amount: 11 };
    expect(await detailsOf({ path: "/api/transfers", body: transfer })).toEqual({
      ...{ rule: "balance", needed: 11, ...facts },
    });
    const path = `/api/users/${from}/holds`;
    expect(await detailsOf({ path, body: { amount: 8, minBalance: 3 } })).toEqual({
      ...{ rule: "minBalance", needed: 11, ...facts },
    });
    const { body } = await client.post<{ id: string }>(path, { amount: 8 });
    const capture = `${path}/${body.data?.id}/capture`;
    const refused = await send({ path: capture, body: { minBalance: 3 } });
    expect(refused.body.error).toEqual({
      ...{ code: "INSUFFICIENT_FUNDS", message },
      details: { rule: "minBalance", balance: 2, version: 2 },
    });
  });

  test("replayed, as when it was decided", async () => {
    const id = await client.openUser(10);
    const body = { amount: -8, minBalance: 5 };
    const once = { method: "PUT", path: `/api/users/${id}/balance`, body };
    const keyed = { ...once, headers: { "idempotency-key": "again" } };
    const first = await send(keyed);
    await client.put(once.path, { amount: 100 });
    const again = await send(keyed);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.text).toBe(first.text);
  });

  test("of a batch the leg is told by its index", async () => {
    const [a, b, c] = [
      await client.openUser(5),
      await client.openUser(0),
      await client.openUser(0),
    ];
    const path = "/api/transfers/batch";
    const batch = (...transfers: object[]) => detailsOf({ path, body: { transfers } });
    const good = { from: a, to: b, amount: 5 };
    expect(await batch({ ...good, amount: 6 }, good)).toEqual({
      ...{ leg: 0, rule: "balance", balance: 5, needed: 6, version: 1 },
    });
    expect(await batch(good, { from: b, to: c, amount: 6 })).toEqual({ leg: 1 });
    expect(await batch(good, { from: 999_999, to: c, amount: 6 })).toEqual({
      ...{ leg: 1, userId: 999_999 },
    });
  });
});

test("other refusals tell what they are about", async () => {
  const id = await client.openUser(10);
  const path = `/api/users/${id}/balance`;
  const headers = { "if-match": '"v7"' };
  expect(await detailsOf({ method: "PUT", path, body: { amount: 1 }, headers })).toEqual({
    version: 1,
  });
  expect(await detailsOf({ path: "/api/users", body: { id } })).toEqual({ userId: id });
  const transfer = { from: id, to: 999_999, amount: 1 };
  expect(await detailsOf({ path: "/api/transfers", body: transfer })).toEqual({ userId: 999_999 });
  const holds = `/api/users/${id}/holds`;
  const { body } = await client.post<{ id: string }>(holds, { amount: 1 });
  const voiding = { path: `${holds}/${body.data?.id}/void`, body: {} };
  await send(voiding);
  expect(await detailsOf(voiding)).toEqual({ state: "voided" });
});

describe("a request that is not valid names each field and its rule", () => {
  const whole = "must be a whole number from 1 to 9007199254740991";
  const own = "must not be the user who pays";
  const body = (field: string, rule: string) => ({ in: "body", field, rule });

  test.each<[string, Sent, object[]]>([
    [
      "fields",
      { path: "/api/transfers", body: { from: 0, amount: 1.5, x: 1, y: 2 } },
      [
        body("from", whole),
        body("to", whole),
        body("amount", whole),
        body("x", "is not known here"),
        body("y", "is not known here"),
      ],
    ],
    [
      "legs",
      {
        path: "/api/transfers/batch",
        body: { transfers: [1, 1].map((from) => ({ from, to: 1, amount: 1 })) },
      },
      [body("transfers.0.to", own), body("transfers.1.to", own)],
    ],
    [
      "a body that is none",
      { path: "/api/users", body: "[]" },
      [body("", "must be a JSON object")],
    ],
    [
      "a field twice",
      { path: "/api/users", body: '{"id":1,"id":2}' },
      [body("id", "must be there once")],
    ],
    [
      "a number",
      { path: "/api/users", body: '{"id":9007199254740993}' },
      [body("id", "must be a number that can be kept exactly")],
    ],
    [
      "the path",
      { method: "GET", path: `/api/users/1/holds/x` },
      [{ in: "path", field: "holdId", rule: "must be a UUID" }],
    ],
    [
      "the query",
      { method: "GET", path: "/api/users?limit=0" },
      [{ in: "query", field: "limit", rule: "must be a whole number from 1 to 1000" }],
    ],
    [
      "a header",
      { path: "/api/users", body: {}, headers: { "idempotency-key": "a b" } },
      [
        {
          ...{ in: "Idempotency-Key", field: "" },
          rule: "must be 1 to 255 visible ASCII characters without spaces",
        },
      ],
    ],
  ])("%s", async (_name, sent, problems) => {
    const { body } = await send(sent);
    expect(body.error).toMatchObject({ code: "INVALID_REQUEST", details: { problems } });
  });

  test("JSON that is none has a position", async () => {
    const { body } = await send({ path: "/api/users", body: '{\n  "id": 1,\n}' });
    expect(body.error).toEqual({
      ...{ code: "INVALID_JSON", message: "The request body is not valid JSON" },
      details: { position: { offset: 13, line: 3, column: 1 } },
    });
  });
});

describe("problems (RFC 9457) for who takes them", () => {
  const headers = { accept: "application/json, application/problem+json" };

  test("a refusal, with its details", async () => {
    const id = await client.openUser(1);
    const path = `/api/users/${id}/balance`;
    const answer = await send({ method: "PUT", path, headers, body: { amount: -2 } });
    expect(answer.status).toBe(422);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.headers.get("vary")).toBe("Accept");
    expect(answer.body).toEqual({
      ...{ type: "about:blank", title: "Unprocessable Entity", status: 422 },
      ...{ detail: "Insufficient funds for this operation", code: "INSUFFICIENT_FUNDS" },
      details: { rule: "balance", balance: 1, needed: 2, version: 1 },
    });
  });

  test.each([
    [{ method: "GET", path: `/api/transfers/${unknownUuid}` }, 404, "TRANSFER_NOT_FOUND"],
    [{ method: "GET", path: "/nowhere" }, 404, "ROUTE_NOT_FOUND"],
    [{ method: "PUT", path: "/api/users" }, 405, "METHOD_NOT_ALLOWED"],
    [{ path: "/api/users", body: "{" }, 400, "INVALID_JSON"],
  ])("%j", async (sent, status, code) => {
    const answer = await send({ ...sent, headers });
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ status, code });
    expect(answer.status).toBe(status);
  });

  test("a success stays what it is", async () => {
    const { body, headers: seen } = await send({ method: "GET", path: "/api/users/1", headers });
    expect(seen.get("content-type")).toBe("application/json; charset=utf-8");
    expect(body).toEqual({ success: true, data: { id: 1, balance: 10_000 } });
  });
});

test("an account that somebody else has locked is no fault of the database", async () => {
  const id = await client.openUser(10);
  const lock = await lockUser(databaseUrl, id);
  const sent = { method: "PUT", path: `/api/users/${id}/balance`, body: { amount: -1 } };
  const { status, headers, body } = await send(sent);
  await lock.release();
  expect([status, headers.get("retry-after"), body.error]).toEqual([
    503,
    "1",
    {
      ...{ code: "ACCOUNT_LOCKED", applied: "no" },
      message: "An account is locked by another session; nothing was changed, try again later",
    },
  ]);
});
