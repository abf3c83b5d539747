/** Opening, showing and listing users. */
import { beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { asServerRole } from "../support/global-setup.ts";
import { exchange, withoutDetails } from "../support/http/client.ts";
import { account, journalFindings, snapshot } from "../support/oracle/journal.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

interface User {
  id: number;
  balance: number;
  held: number;
  version: number;
  createdAt: string;
}
interface Page {
  users: User[];
  nextCursor: string | null;
}

const url = await createTestDatabase();
const server: RunningServer = await startServer({ DATABASE_URL: asServerRole(url) });

function create(body: unknown, headers: Record<string, string> = {}) {
  return exchange<{ id: number; balance: number }>(server.url, {
    method: "POST",
    path: "/api/users",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

function get<T = User>(path: string) {
  return exchange<T>(server.url, { path });
}

describe("a user is opened", () => {
  test("with a balance, under the next id: 201 and where it is", async () => {
    const { status, text, headers } = await create({ balance: 500 });
    expect([status, text, headers.get("location")]).toEqual([
      201,
      '{"success":true,"data":{"id":2,"balance":500}}',
      "/api/users/2",
    ]);
    expect((await get("/api/users/2")).text).toBe('{"success":true,"data":{"id":2,"balance":500}}');
    expect(await account(url, 2)).toEqual({ balance: 500, entries: 1 });
  });

  test("without anything: nothing in it, and no entry", async () => {
    const { status, body } = await create({});
    expect([status, body.data]).toEqual([201, { id: 3, balance: 0 }]);
    expect(await account(url, 3)).toEqual({ balance: 0, entries: 0 });
    const { headers, body: user } = await get("/api/users/3");
    expect([headers.get("etag"), user.data]).toEqual(['"v0"', { id: 3, balance: 0 }]);
    const { body: entries } = await get("/api/users/3/entries");
    expect(entries.data).toEqual({ entries: [], nextCursor: null });
  });

  test.each([
    ["the next but one", 5],
    ["a billion-ish one", 4_000_000_000],
    ["the largest", 9_007_199_254_740_991],
  ])("under an id of one's own: %s", async (_name, id) => {
    const { status, body, headers } = await create({ id, balance: 7 });
    expect([status, body.data, headers.get("location")]).toEqual([
      201,
      { id, balance: 7 },
      `/api/users/${id}`,
    ]);
    expect((await get(`/api/users/${id}`)).body.data).toEqual({ id, balance: 7 });
  });

  test("ids that were chosen are stepped over", async () => {
    expect((await create({})).body.data?.id).toBe(4);
    expect((await create({})).body.data?.id).toBe(6);
  });

  test("with the largest balance", async () => {
    const { status, body } = await create({ balance: 9_007_199_254_740_991 });
    expect([status, body.data?.balance]).toEqual([201, 9_007_199_254_740_991]);
  });

  test("with a reference and metadata, kept on the opening entry", async () => {
    const { body } = await create({ balance: 5, reference: "gift", metadata: { by: "ann" } });
    const { body: entries } = await get<{ entries: unknown[] }>(
      `/api/users/${body.data?.id}/entries`,
    );
    expect(entries.data?.entries).toEqual([
      {
        version: 1,
        amount: 5,
        balance: 5,
        kind: "opening",
        reference: "gift",
        metadata: { by: "ann" },
        createdAt: expect.any(String),
      },
    ]);
  });

  test("who can spend right away", async () => {
    const { body } = await create({ balance: 10 });
    const { body: spent } = await exchange(server.url, {
      method: "PUT",
      path: `/api/users/${body.data?.id}/balance`,
      headers: { "content-type": "application/json" },
      body: '{"amount":-10}',
    });
    expect(spent.data).toMatchObject({ balance: 0, previousBalance: 10 });
  });
});

describe("a user is not opened", () => {
  const exact = (field: string, given: string, read: string) =>
    `${field} must be a number that can be kept exactly: ${given} would become ${read}`;
  const whole = (field: string, min: number, given: string) =>
    `${field} must be a whole number from ${min} to 9007199254740991 (it is ${given})`;

  test.each([
    ['{"balance":-1}', whole("balance", 0, "-1")],
    ['{"balance":"5"}', whole("balance", 0, '"5"')],
    ['{"balance":1.5}', whole("balance", 0, "1.5")],
    ['{"balance":null}', whole("balance", 0, "null")],
    ['{"balance":9007199254740993}', exact("balance", "9007199254740993", "9007199254740992")],
    ['{"balance":1e-400}', exact("balance", "1e-400", "0")],
    ['{"balance":1e400}', whole("balance", 0, "Infinity")],
    ['{"id":0}', whole("id", 1, "0")],
    ['{"id":-5}', whole("id", 1, "-5")],
    ['{"id":"7"}', whole("id", 1, '"7"')],
    ['{"id":7.5}', whole("id", 1, "7.5")],
    ['{"id":null}', whole("id", 1, "null")],
    ['{"id":9007199254740992}', whole("id", 1, "9007199254740992")],
    ['{"amount":5}', 'body has no field "amount"'],
    ["[]", "body must be a JSON object (it is an array)"],
    ["null", "body must be a JSON object (it is null)"],
  ])("from %s", async (text, message) => {
    const before = await snapshot(url);
    const { status, body } = await create(text);
    expect([status, withoutDetails(body).error]).toEqual([
      400,
      { code: "INVALID_REQUEST", message },
    ]);
    expect(await snapshot(url)).toEqual(before);
  });

  test("under an id that is taken: 409, and that user is as before", async () => {
    const before = await snapshot(url);
    const { status, body } = await create({ id: 1, balance: 999 });
    expect([status, withoutDetails(body).error]).toEqual([
      409,
      { code: "USER_EXISTS", message: "User 1 exists already" },
    ]);
    expect(await snapshot(url)).toEqual(before);
  });

  test.each([
    ["an emoji", { reference: "thanks 🎉" }, /^reference may have letters, digits, punctuation/],
    ["NUL", { reference: "a\u0000b" }, /^reference may have/],
    ["a line feed", { reference: "a\nb" }, /^reference may have/],
    ["half a surrogate pair", { reference: "a\ud800" }, /^reference may have/],
    ["nothing", { reference: "" }, /^reference must not be empty/],
    ["256 characters", { reference: "x".repeat(256) }, /^reference must have at most 255/],
  ])("with a reference that has %s", async (_name, more, message) => {
    const before = await snapshot(url);
    const { status, body } = await create({ balance: 1, ...more });
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.error?.message).toMatch(message);
    expect(await snapshot(url)).toEqual(before);
  });

  test.each([
    ["10 kB", { a: "x".repeat(10_000) }, /^metadata must have at most 4096 bytes as JSON/],
    ["one byte too many", { a: "x".repeat(4_089) }, /^metadata must have at most 4096 bytes/],
    ["more bytes than characters", { a: "é".repeat(2_045) }, /^metadata must have at most 4096/],
    ["NUL", { a: "\u0000" }, /^metadata must not contain NUL/],
    ["NUL in a name", { "\u0000": 1 }, /^metadata must not contain NUL/],
    ["half a surrogate pair", { a: ["\ud800"] }, /^metadata must not contain NUL, broken Unicode/],
  ])("with metadata that has %s", async (_name, metadata, message) => {
    const before = await snapshot(url);
    const { status, body } = await create({ balance: 1, metadata });
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.error?.message).toMatch(message);
    expect(await snapshot(url)).toEqual(before);
  });

  test("with a number in metadata that no number can hold", async () => {
    const { status, body } = await create('{"balance":1,"metadata":{"a":[1e400]}}');
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
  });

  test.each([
    ["letters of the world", "Überweisung 17 – 支払い, оплата"],
    ["255 characters", "x".repeat(255)],
    ["signs", '50 % of $9 <& co> +1 = "done"'],
  ])("but is, with a reference of %s", async (_name, reference) => {
    const { status, body } = await create({ balance: 1, reference });
    expect(status).toBe(201);
    const [row] = await psql(url, "SELECT reference FROM entries WHERE user_id = $1", [
      body.data?.id,
    ]);
    expect(row).toEqual({ reference });
  });

  test("but is, with 4096 bytes of metadata", async () => {
    const { status } = await create({ balance: 1, metadata: { a: "x".repeat(4_088) } });
    expect(status).toBe(201);
  });
});

describe("the list", () => {
  const listUrl = async () => {
    const own = await createTestDatabase();
    await psql(
      own,
      `SELECT apply_operations(array[id], '{1}', array[id], '{opening}')
         FROM generate_series(2, 250) AS id`,
    );
    return own;
  };
  let list: RunningServer;

  beforeAll(async () => {
    list = await startServer({ DATABASE_URL: asServerRole(await listUrl()) });
  });

  const page = async (query = "") => {
    const answer = await exchange<Page>(list.url, { path: `/api/users${query}` });
    return { ...answer, data: answer.body.data as Page };
  };
  const ids = ({ data }: { data: Page }) => data.users.map(({ id }) => id);
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, n) => from + n);

  test("begins with the first 100 by id", async () => {
    const first = await page();
    expect(ids(first)).toEqual(range(1, 100));
    expect(first.data.users[1]).toEqual({
      id: 2,
      balance: 2,
      held: 0,
      version: 1,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    expect(first.headers.get("link")).toBe(
      `</api/users?limit=100&cursor=${first.data.nextCursor}>; rel="next"`,
    );
  });

  test.each([1, 7, 100, 125, 249, 250, 251, 1_000])("in pages of %i is complete", async (limit) => {
    const seen: number[] = [];
    let query = `?limit=${limit}`;
    let pages = 0;
    for (;;) {
      const one = await page(query);
      pages += 1;
      seen.push(...ids(one));
      const { nextCursor } = one.data;
      expect(one.headers.get("link")).toBe(
        nextCursor && `</api/users?limit=${limit}&cursor=${nextCursor}>; rel="next"`,
      );
      if (nextCursor === null) break;
      query = `?limit=${limit}&cursor=${nextCursor}`;
    }
    expect(seen).toEqual(range(1, 250));
    expect(pages).toBe(Math.ceil(250 / limit));
  });

  test("a cursor goes with another limit", async () => {
    const { data } = await page("?limit=10");
    expect(ids(await page(`?limit=3&cursor=${data.nextCursor}`))).toEqual([11, 12, 13]);
  });

  test("begins behind an id, unless a cursor says where", async () => {
    const { data } = await page("?limit=2&after=41");
    expect(ids({ data })).toEqual([42, 43]);
    expect(ids(await page(`?limit=2&cursor=${data.nextCursor}`))).toEqual([44, 45]);
    expect(ids(await page("?after=250"))).toEqual([]);
    for (const [query, message] of [
      [`?after=1&cursor=${data.nextCursor}`, "after and cursor both say where to begin"],
      ["?after=x", 'after must be a whole number from 1 to 9007199254740991 (it is "x")'],
    ]) {
      const { status, body } = await page(query);
      expect([status, withoutDetails(body).error]).toEqual([
        400,
        { code: "INVALID_REQUEST", message },
      ]);
    }
  });

  test("a cursor that is not one of ours", async () => {
    const { data } = await page("?limit=10");
    const cursor = data.nextCursor as string;
    const entries = await exchange<{ nextCursor: string }>(server.url, {
      path: "/api/users/1/entries?limit=1",
    });
    const forged = Buffer.from('{"users":"id","after":0}').toString("base64url");
    const wrong = ["", "x", "null", cursor.slice(0, -2), `x${cursor}`, forged, "%00"];
    wrong.push(String(entries.body.data?.nextCursor));
    for (const one of wrong) {
      const { status, body } = await page(`?cursor=${one}`);
      expect([one, status, withoutDetails(body).error]).toEqual([
        one,
        400,
        {
          code: "INVALID_REQUEST",
          message: "cursor is not one that this list gave; begin again without it",
        },
      ]);
    }
  });
});

test("afterwards the journal adds up", async () => {
  expect(await journalFindings(url)).toEqual([]);
});
