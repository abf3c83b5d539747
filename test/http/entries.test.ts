/** The journal over HTTP: pages, both orders, spans of time, and the balance at a moment. */
import { beforeAll, describe, expect, test } from "vitest";
import { adjustment } from "../../src/ledger/request.ts";
import { createClock } from "../support/clock.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { exchange, withoutDetails } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

interface Entry {
  version: number;
  amount: number;
  balance: number;
  kind: string;
  createdAt: string;
}
interface Page {
  entries: Entry[];
  nextCursor: string | null;
}

// In the past: the balance at a moment to come is nothing to ask for.
const clock = createClock("2020-01-01T00:00:00.000Z");
const database = await createTestDatabase();
const { url, ledger } = await serveInProcess(database, { now: clock.now });
/** Entry n (1 to 25) of this user was made at second n - 1 and left a balance of n. */
let userId: number;
let otherId: number;

beforeAll(async () => {
  userId = (await ledger.openUser({ balance: 1 })).createdUserId as number;
  for (let n = 2; n <= 25; n++) {
    clock.advance(1);
    await ledger.apply(adjustment(userId, 1));
  }
  otherId = (await ledger.openUser({ balance: 5 })).createdUserId as number;
  await ledger.apply(adjustment(otherId, 5));
});

const time = (second: number, ms = 0) =>
  new Date(Date.parse("2020-01-01T00:00:00.000Z") + second * 1_000 + ms).toISOString();

async function page(query = "", id = userId) {
  const answer = await exchange<Page>(url, { path: `/api/users/${id}/entries${query}` });
  return { ...answer, data: answer.body.data as Page };
}

function versions({ data }: { data: Page }): number[] {
  return data.entries.map(({ version }) => version);
}

const range = (from: number, to: number) =>
  Array.from({ length: Math.abs(to - from) + 1 }, (_, n) => (from < to ? from + n : from - n));

/** Follows the Link header to the end. */
async function follow(query: string): Promise<number[][]> {
  const pages: number[][] = [];
  let path = `/api/users/${userId}/entries${query}`;
  for (;;) {
    const answer = await exchange<Page>(url, { path });
    const data = answer.body.data as Page;
    pages.push(versions({ data }));
    const next = /^<(.*)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
    expect(next === undefined).toBe(data.nextCursor === null);
    if (next === undefined) return pages;
    expect(next).toContain(`cursor=${data.nextCursor}`);
    path = next;
  }
}

async function expectRefused(query: string, message: string, id = userId): Promise<void> {
  const { status, body } = await page(query, id);
  const { error } = withoutDetails(body);
  expect([query, status, error]).toEqual([query, 400, { code: "INVALID_REQUEST", message }]);
}

describe("pages", () => {
  test("begin with the newest", async () => {
    const { data, headers } = await page();
    expect(versions({ data })).toEqual(range(25, 1));
    expect([data.nextCursor, headers.get("link")]).toEqual([null, null]);
    expect(data.entries[0]).toEqual({
      version: 25,
      amount: 1,
      balance: 25,
      kind: "adjustment",
      createdAt: time(24),
    });
    expect(data.entries[24]).toEqual({
      version: 1,
      amount: 1,
      balance: 1,
      kind: "opening",
      createdAt: time(0),
    });
  });

  test.each([
    ["desc", 1],
    ["desc", 4],
    ["desc", 5],
    ["desc", 24],
    ["desc", 25],
    ["desc", 26],
    ["asc", 1],
    ["asc", 7],
    ["asc", 25],
  ])("in order %s, %i at a time, are complete", async (order, limit) => {
    const pages = await follow(`?order=${order}&limit=${limit}`);
    expect(pages.flat()).toEqual(order === "desc" ? range(25, 1) : range(1, 25));
    expect(pages.length).toBe(Math.ceil(25 / limit));
  });

  test("are not shifted by what is added meanwhile", async () => {
    const first = await page("?limit=1", otherId);
    await ledger.apply(adjustment(otherId, 5));
    const second = await page(`?limit=1&cursor=${first.data.nextCursor}`, otherId);
    expect([versions(first), versions(second)]).toEqual([[2], [1]]);
  });

  test("of a user without entries are empty; of nobody there are none", async () => {
    const { createdUserId } = await ledger.openUser({ balance: 0 });
    expect((await page("", createdUserId as number)).data).toEqual({
      entries: [],
      nextCursor: null,
    });
    const { status, body } = await page("", 999_999);
    expect([status, body.error]).toEqual([
      404,
      { code: "USER_NOT_FOUND", message: "User 999999 not found" },
    ]);
  });

  test("show reference and metadata", async () => {
    const options = { reference: "order 17", metadata: { lines: [1, { a: null }] } };
    await ledger.apply(adjustment(otherId, -3, options));
    const { data } = await page("?limit=1", otherId);
    expect(data.entries[0]).toMatchObject({ amount: -3, ...options });
  });
});

describe("a span of time", () => {
  test.each([
    [`from=${time(5)}`, range(25, 6)],
    [`from=${time(5, 1)}`, range(25, 7)],
    [`to=${time(5)}`, range(5, 1)],
    [`to=${time(5, 1)}`, range(6, 1)],
    [`from=${time(3)}&to=${time(6)}`, [6, 5, 4]],
    [`from=${time(3)}&to=${time(6)}&order=asc`, [4, 5, 6]],
    [`from=${time(3)}&to=${time(3)}`, []],
    [`from=${time(3)}&to=${time(3, 1)}`, [4]],
    [`from=${time(24, 1)}`, []],
    [`to=${time(0)}`, []],
    ["from=1970-01-01T00:00:00Z&to=2019-12-31T23:59:59.999Z", []],
    ["from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", range(25, 1)],
    ["from=2020-01-01T02:00:05%2B02:00&to=2019-12-31T19:00:07-05:00", [7, 6]],
  ])("%s is half-open", async (query, expected) => {
    const answer = await page(`?${query}`);
    expect([answer.status, versions(answer)]).toEqual([200, expected]);
  });

  test("goes on under its cursor", async () => {
    const query = `?from=${time(2)}&to=${time(12)}&limit=4`;
    expect(await follow(query)).toEqual([
      [12, 11, 10, 9],
      [8, 7, 6, 5],
      [4, 3],
    ]);
    expect(await follow(`${query}&order=asc`)).toEqual([
      [3, 4, 5, 6],
      [7, 8, 9, 10],
      [11, 12],
    ]);
  });

  test("that ends before it begins", async () => {
    await expectRefused(`?from=${time(6)}&to=${time(3)}`, "from must not be after to");
  });

  test.each([
    "2020-01-01",
    "2020-01-01T00:00:00",
    "2020-01-01 00:00:00Z",
    "2020-02-30T00:00:00Z",
    "2020-13-01T00:00:00Z",
    "2020-01-01T25:00:00Z",
    "2208988800",
    "now",
    "",
    "+275760-09-13T00:00:00Z",
    "2020-01-01T00:00:00Z'--",
  ])("%j is no time", async (given) => {
    // A plus sign in a query is a blank.
    const shown = JSON.stringify(given.replaceAll("+", " "));
    await expectRefused(
      `?from=${given}`,
      `from must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z (it is ${shown})`,
    );
  });
});

describe("a cursor", () => {
  const notOurs = "cursor is not one that this list gave; begin again without it";

  test("carries its order and span, which need not be said again, and may be", async () => {
    const query = `order=asc&from=${time(2)}&to=${time(12)}`;
    const { data } = await page(`?${query}&limit=4`);
    const cursor = `cursor=${data.nextCursor}`;
    expect(versions(await page(`?limit=4&${cursor}`))).toEqual([7, 8, 9, 10]);
    expect(versions(await page(`?limit=4&${cursor}&${query}`))).toEqual([7, 8, 9, 10]);
  });

  test.each([
    ["order", "order=desc"],
    ["from", `from=${time(1)}`],
    ["to", `to=${time(13)}`],
  ])("with another %s", async (field, query) => {
    const { data } = await page(`?order=asc&from=${time(2)}&to=${time(12)}&limit=4`);
    await expectRefused(
      `?cursor=${data.nextCursor}&${query}`,
      `cursor was given for another ${field}; leave ${field} out or begin again without cursor`,
    );
  });

  test("of another user", async () => {
    const { data } = await page("?limit=1");
    const message = "cursor belongs to the entries of another user";
    await expectRefused(`?cursor=${data.nextCursor}`, message, otherId);
  });

  test("that was made up, cut or altered", async () => {
    const { data } = await page("?limit=5");
    const cursor = data.nextCursor as string;
    const position = JSON.stringify({ entriesOf: userId, order: "desc", after: 25 });
    const decoded = Buffer.from(cursor, "base64url").toString();
    const wrong = [
      "",
      "x",
      "{}",
      "%00",
      cursor.slice(1),
      cursor.slice(0, -1),
      `${cursor}AA`,
      Buffer.from(position).toString("base64url"),
      Buffer.from(`${"A".repeat(12)}${position}`).toString("base64url"),
      Buffer.from(decoded.replace('"after":21', '"after":26')).toString("base64url"),
      "A".repeat(5_000),
    ];
    for (const one of wrong) await expectRefused(`?cursor=${one}`, notOurs);
  });

  test("of the list of users", async () => {
    const { body } = await exchange<Page>(url, { path: "/api/users?limit=1" });
    await expectRefused(`?cursor=${body.data?.nextCursor}`, notOurs);
  });
});

describe("the balance at a moment", () => {
  const at = (moment: string, id = userId) =>
    exchange(url, { path: `/api/users/${id}?at=${moment}` });

  test.each([
    [time(0), 1],
    [time(0, 999), 1],
    [time(1), 2],
    [time(10), 11],
    [time(10, 1), 11],
    [time(23, 999), 24],
    [time(24), 25],
    [time(86_400 * 365), 25],
  ])("%s", async (moment, balance) => {
    const { status, text } = await at(moment);
    expect([status, text]).toEqual([
      200,
      `{"success":true,"data":{"id":${userId},"balance":${balance},"at":"${moment}"}}`,
    ]);
  });

  test("before the user was: 404", async () => {
    const { status, body } = await at(time(0, -1));
    expect([status, body.error]).toEqual([
      404,
      { code: "USER_NOT_FOUND", message: `User ${userId} exists only since ${time(0)}` },
    ]);
  });

  test("to come: 400", async () => {
    const { status, body } = await at("9999-12-31T23:59:59Z");
    expect([status, body.error]).toEqual([
      400,
      { code: "INVALID_REQUEST", message: "at is in the future; leave it out for now" },
    ]);
  });

  test("of nobody: 404", async () => {
    const { status, body } = await at(time(0), 999_999);
    expect([status, body.error?.message]).toEqual([404, "User 999999 not found"]);
  });

  test("that is none: 400", async () => {
    const { status, body } = await at("yesterday");
    expect([status, body.error?.message]).toEqual([
      400,
      "at must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z " +
        '(it is "yesterday")',
    ]);
  });
});

test("a time as it is shown is a time that can be asked for", async () => {
  // By the database's own clock, which knows microseconds.
  const real = await serveInProcess(database);
  const id = (await real.ledger.openUser({ balance: 1 })).createdUserId as number;
  for (let n = 0; n < 5; n++) await real.ledger.apply(adjustment(id, 1));
  const { body } = await exchange<Page>(real.url, { path: `/api/users/${id}/entries?order=asc` });
  const entries = body.data?.entries as Entry[];
  for (const { createdAt, version } of entries) {
    const { body: then } = await exchange<{ balance: number }>(real.url, {
      path: `/api/users/${id}?at=${createdAt}`,
    });
    // What was made in the same millisecond counts as well.
    const last = entries.findLast((entry) => entry.createdAt === createdAt) as Entry;
    expect([version, then.data?.balance]).toEqual([version, last.balance]);
  }
});
