/** What entries carry, reference and metadata, and the balance at a moment (`?at=`). */
import { beforeEach, describe, expect, test } from "vitest";
import { openFunction } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import {
  type Answer,
  createApiClient,
  type Entry,
  exchange,
  expectError,
} from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
const server = await serveInProcess(databaseUrl);
const api = createApiClient(server.url);
const { apply } = await openFunction(databaseUrl);

let user = 0;
let payee = 0;

beforeEach(async () => {
  user = await api.openUser(1_000);
  payee = await api.openUser(0);
});

async function newHold(): Promise<string> {
  const { body } = await api.post<{ id: string }>(`/api/users/${user}/holds`, { amount: 1 });
  return body.data?.id as string;
}

/** Each write that keeps context, sent with `about`, or with a body that is written by hand. */
const writes: [what: string, send: (about: object | string) => Promise<Answer>][] = [
  ["PUT balance", (about) => api.put(`/api/users/${user}/balance`, merged({ amount: 1 }, about))],
  ["POST users", (about) => api.post("/api/users", merged({ balance: 1 }, about))],
  [
    "POST transfers",
    (about) => api.post("/api/transfers", merged({ from: user, to: payee, amount: 1 }, about)),
  ],
  ["POST holds", (about) => api.post(`/api/users/${user}/holds`, merged({ amount: 1 }, about))],
  [
    "POST capture",
    async (about) =>
      await api.post(`/api/users/${user}/holds/${await newHold()}/capture`, merged({}, about)),
  ],
  [
    "POST void",
    async (about) =>
      await api.post(`/api/users/${user}/holds/${await newHold()}/void`, merged({}, about)),
  ],
];

/** `about` as an object, or as the text of further fields. */
function merged(body: object, about: object | string): object | string {
  if (typeof about === "object") return { ...body, ...about };
  const text = JSON.stringify(body).slice(0, -1);
  return `${text}${text === "{" ? "" : ","}${about}}`;
}

async function lastEntryOf(userId: number): Promise<Entry | undefined> {
  const path = `/api/users/${userId}/entries?limit=1`;
  return (await api.get<{ entries: Entry[] }>(path)).body.data?.entries[0];
}

describe("reference and metadata are kept on the entry and come back in history", () => {
  test.each(writes)("%s", async (_what, send) => {
    const about = { reference: "order 17", metadata: { lines: [{ sku: "a", n: 2 }], paid: true } };
    const { status, body } = await send(about);
    expect([200, 201]).toContain(status);
    const opened = (body.data as { id?: number }).id;
    const entry = await lastEntryOf(typeof opened === "number" ? opened : user);
    expect({ reference: entry?.reference, metadata: entry?.metadata }).toEqual(about);
  });

  test("what is not given is not there", async () => {
    await api.put(`/api/users/${user}/balance`, { amount: 1 });
    expect(Object.keys((await lastEntryOf(user)) ?? {}).sort()).toEqual([
      ...["amount", "balance", "createdAt", "kind", "version"],
    ]);
  });

  test.each([
    "x",
    "Überweisung № 7".replace("№", "Nr."),
    "рахунок-фактура № 7".replace("№ ", ""),
    "注文 12、支払い済み",
    "הזמנה 12",
    "فاتورة ١٢",
    "बिल १२ — नमस्ते",
    "naïve «quotes» “and” ‘these’… $5 + 3 < 9 = ~100%",
    "'; DROP TABLE entries; --",
    '"quoted", \\back\\slash, {braces}, NULL',
    "e\u0301 decomposed",
    "x".repeat(255),
  ])("a reference may be %j", async (reference) => {
    expect((await api.put(`/api/users/${user}/balance`, { amount: 1, reference })).status).toBe(
      200,
    );
    expect((await lastEntryOf(user))?.reference).toBe(reference);
  });

  test.each<[what: string, metadata: object]>([
    ["nothing", {}],
    [
      "every kind of value",
      { a: null, b: true, c: -1.5e-7, d: "", e: [], f: {}, g: [[1], { h: 1 }] },
    ],
    ["emoji, in any place", { "🍕": "🍕🇺🇦👩‍👩‍👧", note: "line\nbreak\ttab \u0001" }],
    ["names that mean something elsewhere", { constructor: 1, toString: 2, amount: 3, "a b": 4 }],
    ["as many bytes with its numbers written out", { n: tiny(12), x: "x".repeat(4_096 - 3_938) }],
    ["the largest number", { n: Number.MAX_SAFE_INTEGER, x: 1.7976931348623157e308 }],
    ["4,096 bytes", { a: "x".repeat(4_096 - 8) }],
    ["4,096 bytes of two-byte letters", { a: "ї".repeat((4_096 - 8) / 2) }],
    ["six hundred levels", deep(600)],
  ])("metadata may be %s", async (_what, metadata) => {
    expect((await api.put(`/api/users/${user}/balance`, { amount: 1, metadata })).status).toBe(200);
    expect((await lastEntryOf(user))?.metadata).toEqual(metadata);
  });
});

/** Each is 7 bytes in a request and 326 as PostgreSQL has it. */
function tiny(count: number): number[] {
  return Array.from({ length: count }, () => 5e-324);
}

function deep(levels: number): object {
  let value: object = {};
  for (let level = 1; level < levels; level++) value = { a: value };
  return value;
}

describe("what cannot be kept is refused, on every write, and nothing is stored", () => {
  const letters =
    "reference may have letters, digits, punctuation and spaces; no control characters and no emoji";
  const big = "metadata must have at most 4096 bytes as JSON (it is an object)";
  const broken =
    "metadata must not contain NUL, broken Unicode or numbers beyond range (it is an object)";
  const object = (it: string) => `metadata must be a JSON object (it is ${it})`;

  const cases: [what: string, about: string, message: RegExp | string][] = [
    ["an emoji", '"reference":"order 🍕"', `${letters} (it is "order 🍕")`],
    ["a family of emoji", '"reference":"👩‍👩‍👧"', `${letters} (it is "👩‍👩‍👧")`],
    ["a flag", '"reference":"🇺🇦"', `${letters} (it is "🇺🇦")`],
    ["a keycap emoji", '"reference":"1\ufe0f\u20e3"', `${letters} (it is "1\ufe0f\u20e3")`],
    ["NUL in a reference", '"reference":"a\\u0000b"', `${letters} (it is "a\\u0000b")`],
    ["a line break", '"reference":"a\\nb"', `${letters} (it is "a\\nb")`],
    ["a tab", '"reference":"a\\tb"', `${letters} (it is "a\\tb")`],
    ["an escape sequence", '"reference":"\\u001b[2J"', `${letters} (it is "\\u001b[2J")`],
    ["text that turns around", '"reference":"a\\u202eb"', `${letters} (it is "a\\u202eb")`],
    ["half a character", '"reference":"\\ud83c"', `${letters} (it is "\\ud83c")`],
    ["an empty reference", '"reference":""', /^reference must not be empty/],
    [
      "a long reference",
      `"reference":"${"x".repeat(256)}"`,
      `reference must have at most 255 characters (it is "${"x".repeat(59)}…)`,
    ],
    ["a number for a reference", '"reference":7', "reference must be a string (it is 7)"],
    ["null for a reference", '"reference":null', "reference must be a string (it is null)"],
    ["a list for metadata", '"metadata":[1]', object("an array")],
    ["text for metadata", '"metadata":"{}"', object('"{}"')],
    ["null for metadata", '"metadata":null', object("null")],
    ["4,097 bytes of metadata", `"metadata":{"a":"${"x".repeat(4_089)}"}`, big],
    ["10 kB of metadata", `"metadata":{"a":"${"x".repeat(10_000)}"}`, big],
    [
      "numbers that are long where they are kept",
      `"metadata":${JSON.stringify({ n: tiny(12), x: "x".repeat(4_096 - 3_937) })}`,
      /^metadata must have at most 4096 bytes as JSON with its numbers written out/,
    ],
    [
      "huge negative numbers",
      `"metadata":{"n":[${"-1.5e300,".repeat(13)}{"m":-1.5e300}]}`,
      /^metadata must have at most 4096 bytes as JSON with its numbers written out/,
    ],
    ["NUL in metadata", '"metadata":{"a":["b\\u0000"]}', broken],
    ["NUL in a name of metadata", '"metadata":{"\\u0000":1}', broken],
    ["half a character in metadata", '"metadata":{"a":"\\udc00"}', broken],
    ["half a character in a name", '"metadata":{"\\ud800":1}', broken],
    ["a number beyond range", '"metadata":{"a":1e400}', broken],
    [
      "a hundred thousand levels",
      `"metadata":{"a":${"[".repeat(40_000)}${"]".repeat(40_000)}}`,
      big,
    ],
    ["deep objects", `"metadata":${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}`, big],
  ];

  test.each(cases)("%s", async (_what, about, message) => {
    for (const [what, send] of writes) {
      // A hold is made for a capture and a void before they are tried: that is stored.
      const makesHold = what === "POST capture" || what === "POST void";
      const before = makesHold ? "" : await tables.fingerprint();
      const answer = await send(about);
      if (typeof message === "string") expectError(answer, "INVALID_REQUEST", message);
      else
        expect([answer.status, answer.body.error?.message]).toEqual([
          400,
          expect.stringMatching(message),
        ]);
      if (!makesHold) expect(await tables.fingerprint()).toBe(before);
      else expect((await lastEntryOf(user))?.kind).toBe("hold");
    }
  });

  test("a name that JavaScript has taken is kept or refused, and never dropped", async () => {
    const metadata = '{"a":1,"__proto__":{"b":2}}';
    const { status } = await api.put(
      `/api/users/${user}/balance`,
      `{"amount":1,"metadata":${metadata}}`,
    );
    expect([200, 400]).toContain(status);
    if (status === 200) {
      const path = `/api/users/${user}/entries?limit=1`;
      const { text } = await exchange(server.url, { path });
      expect(text).toContain('"__proto__":{"b":2}');
    }
  });
});

describe("GET /api/users/:userId?at=", () => {
  const at = (time: string) =>
    api.get<{ balance: number }>(`/api/users/${user}?at=${encodeURIComponent(time)}`);

  test("the time of each entry, as history shows it, gives the balance after it", async () => {
    user += 1_000_000;
    // The database counts microseconds, and history shows milliseconds.
    const moments = ["10.000456", "10.001", "10.001999", "10.003"];
    const steps = [1_000, 5, -7, 11];
    for (const [index, amount] of steps.entries()) {
      const step = index === 0 ? ({ user, kind: "opening", amount } as const) : { user, amount };
      await apply([step], { now: `2024-05-05T12:00:${moments[index]}Z` });
    }
    const path = `/api/users/${user}/entries?order=asc`;
    const { body } = await api.get<{ entries: Entry[] }>(path);
    const shown = (body.data?.entries ?? []).map(({ createdAt, balance }) => [createdAt, balance]);
    expect(shown.map(([, balance]) => balance)).toEqual([1_000, 1_005, 998, 1_009]);
    const seen = [];
    for (const [createdAt] of shown) {
      const answer = await at(createdAt as string);
      seen.push([createdAt, answer.body.data?.balance]);
    }
    // Two entries that history shows at one time: the balance after both.
    shown[1] = [shown[1]?.[0] as string, 998];
    expect(seen).toEqual(shown);
  });

  test("any offset means the same moment", async () => {
    const { createdAt } = (await lastEntryOf(user)) as Entry;
    await api.put(`/api/users/${user}/balance`, { amount: 1 });
    const later = new Date(Date.parse(createdAt) + 1).toISOString();
    for (const offset of ["+02:00", "-11:30"]) {
      const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(offset) as RegExpExecArray;
      const shift = (sign === "+" ? 1 : -1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
      const local = new Date(Date.parse(later) + shift).toISOString().replace("Z", offset);
      const answer = await at(local);
      expect([answer.status, answer.body.data]).toMatchObject([200, { at: later }]);
    }
  });

  test("before the user there is no user", async () => {
    const { createdAt } = (await lastEntryOf(user)) as Entry;
    const message = `User ${user} exists only since ${createdAt}`;
    for (const time of [
      new Date(Date.parse(createdAt) - 1).toISOString(),
      "1970-01-01T00:00:00Z",
      "0001-01-01T00:00:00Z",
    ]) {
      expectError(await at(time), "USER_NOT_FOUND", message);
    }
  });

  test("the future is not known yet", async () => {
    const answer = await at("2999-01-01T00:00:00Z");
    expectError(answer, "INVALID_REQUEST", "at is in the future; leave it out for now");
  });

  test("what the database has stamped is not the future, whatever this server's clock says", async () => {
    const stamped = new Date(Date.now() + 60_000).toISOString();
    await apply([{ user, amount: 5 }], { now: stamped });
    const { status, body } = await at(stamped);
    expect([status, body.data]).toEqual([200, { id: user, balance: 1_005, at: stamped }]);
  });

  test.each([
    ...["", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "1767225600"],
    ...["2026-01-31T25:00:00Z", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00+25:00"],
  ])("%j is no time", async (time) => {
    const rule = "at must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z";
    expectError(await at(time), "INVALID_REQUEST", `${rule} (it is ${JSON.stringify(time)})`);
  });

  test("a field too many, and a time given twice", async () => {
    const path = `/api/users/${user}`;
    expectError(await api.get(`${path}?when=now`), "INVALID_REQUEST", 'query has no field "when"');
    const twice = await api.get(`${path}?at=2026-01-31T12:00:00Z&at=2026-01-31T12:00:00Z`);
    expect([twice.status, twice.body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
  });
});
