/** What is decoded from a client: cursors, paths, queries and headers. Nonsense is 400, never 500. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeCursor } from "../../src/http/cursor.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { createApiClient, expectError, unknownUuid } from "../support/http/client.ts";
import { sendRaw } from "../support/http/raw.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const server = await serveInProcess(await createTestDatabase());
const api = createApiClient(server.url);

const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["FC_RUNS"] ?? 200);

const lists = ["/api/users", "/api/users/1/entries", "/api/users/1/holds"];
const notOurs = "cursor is not one that this list gave; begin again without it";

/** A cursor with the right check sum around any bytes. */
function forged(text: string | Buffer): string {
  const bytes = Buffer.from(text);
  const asRead = bytes.toString("utf8");
  const sum = createHash("sha256").update(`balancectl cursor ${asRead}`).digest("base64url");
  return Buffer.concat([Buffer.from(sum.slice(0, 12)), bytes]).toString("base64url");
}

async function expectNotOurs(cursor: string): Promise<void> {
  for (const list of lists) {
    const answer = await api.get(`${list}?cursor=${encodeURIComponent(cursor)}`);
    expectError(answer, "INVALID_REQUEST", notOurs);
  }
}

beforeAll(async () => {
  for (let n = 0; n < 4; n++) await api.openUser(10);
  for (let n = 0; n < 4; n++) await api.put("/api/users/1/balance", { amount: -1 });
  for (let n = 0; n < 4; n++) await api.post("/api/users/1/holds", { amount: 1 });
});

describe("a cursor with a right check sum", () => {
  const pointing = (list: string, text: string) =>
    ({
      users: `{"users":"id","after":${text}}`,
      entries: `{"entriesOf":1,"order":"asc","after":${text}}`,
      holds: `{"holdsOf":${text},"open":true,"before":"${unknownUuid}"}`,
    })[list] as string;

  test.each(["users", "entries", "holds"])("is taken by %s", async (list) => {
    const path = list === "users" ? "/api/users" : `/api/users/1/${list}`;
    expect((await api.get(`${path}?cursor=${forged(pointing(list, "1"))}`)).status).toBe(200);
  });

  test.each([
    "0",
    "-1",
    "-0",
    "1.0",
    "1e0",
    "1.5",
    "1e999",
    "-1e999",
    "9007199254740992",
    "9223372036854775808",
    "null",
    '"1"',
    "[1]",
    "{}",
    " 1",
    '1,"x":1',
    '1,"__proto__":{}',
  ])("and %s where a number belongs is refused", async (text) => {
    for (const list of ["users", "entries", "holds"])
      await expectNotOurs(forged(pointing(list, text)));
  });

  test.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["another text", "x"],
    ["null", "null"],
    ["a list", "[]"],
    ["two documents", "{}{}"],
    ["a key twice", '{"users":"id","users":"id","after":1}'],
    ["keys in another order", '{"after":1,"users":"id"}'],
    ["__proto__", '{"__proto__":{"users":"id","after":1}}'],
    ["a byte order mark", '\ufeff{"users":"id","after":1}'],
    ["deep JSON", "[".repeat(5_000)],
    ["deep JSON that ends", `${"[".repeat(2_500)}${"]".repeat(2_500)}`],
    ["no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ["year 10000", '{"entriesOf":1,"order":"asc","from":"+010000-01-01T00:00:00.000Z","after":1}'],
    ["no day", '{"entriesOf":1,"order":"asc","to":"2026-02-30T00:00:00.000Z","after":1}'],
  ])("and in it %s", async (_what, text) => {
    await expectNotOurs(forged(text));
  });

  test("one that was given is taken as it was given, and in no other spelling", async () => {
    const { body } = await api.get<{ nextCursor: string }>("/api/users?limit=1");
    const given = body.data?.nextCursor as string;
    expect((await api.get(`/api/users?cursor=${given}`)).status).toBe(200);
    for (const other of [`${given}=`, `${given}==`, `${given} `, ` ${given}`, `${given}!`]) {
      await expectNotOurs(other);
    }
  });

  const position = fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify({ users: "id", after: value })),
    fc
      .record({ entriesOf: fc.double(), order: fc.string(), after: fc.maxSafeNat() })
      .map((value) => JSON.stringify(value)),
  );

  test(`any text in it is a page or 400 (seed ${seed})`, async () => {
    const property = fc.asyncProperty(position, async (text) => {
      for (const list of lists) {
        const { status, body } = await api.get(`${list}?cursor=${forged(text)}`);
        expect([200, 400]).toContain(status);
        if (status === 200) expect(forged(text)).toBe(encodeCursor(JSON.parse(text)));
        else expect(body.error?.code).toBe("INVALID_REQUEST");
      }
    });
    await fc.assert(property, { seed, numRuns });
  });
});

describe("a time at the edge of time", () => {
  test.each([
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-01-01T00:00:00.123456789Z",
  ])("%s: the cursor that the list gives is one that it takes", async (time) => {
    for (const query of [`from=${time}`, `to=${time}`, `from=${time}&order=asc`]) {
      const path = `/api/users/1/entries?limit=1&${query}`;
      const { status, body } = await api.get<{ nextCursor: string | null }>(path);
      expect(status).toBe(200);
      const { nextCursor = null } = body.data ?? {};
      if (nextCursor === null) continue;
      const next = await api.get(`/api/users/1/entries?limit=1&cursor=${nextCursor}`);
      expect(next.status).toBe(200);
    }
  });

  test.each(["0000-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"])(
    "%s is beyond it",
    async (time) => {
      const rule = "must be in the years 0000 to 9999 (UTC)";
      const shown = `(it is "${decodeURIComponent(time)}")`;
      const [at, from] = [`/api/users/1?at=${time}`, `/api/users/1/entries?from=${time}`];
      expectError(await api.get(at), "INVALID_REQUEST", `at ${rule} ${shown}`);
      expectError(await api.get(from), "INVALID_REQUEST", `from ${rule} ${shown}`);
    },
  );

  test.each(["at", "from", "to"])("%s with a bare + is told how + is written", async (name) => {
    const path = name === "at" ? "/api/users/1" : "/api/users/1/entries";
    const message =
      `${name} must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z; ` +
      'in a URL its + is written %2B (it is "2026-01-01T00:00:00 01:00")';
    const answer = await api.get(`${path}?${name}=2026-01-01T00:00:00+01:00`);
    expectError(answer, "INVALID_REQUEST", message);
    expect((await api.get(`${path}?${name}=2026-01-01T00:00:00%2B01:00`)).status).not.toBe(400);
  });
});

describe("paths, queries and headers of any bytes", () => {
  const paths = (part: string) => [
    `/api/users/${part}`,
    `/api/users/1/operations/${part}`,
    `/api/operations/${part}`,
    `/api/users/1/holds/${part}`,
    `/api/transfers/${part}`,
    `/api/users?limit=${part}`,
    `/api/users/1?at=${part}`,
    `/api/users/1/entries?${part}=1`,
    `/api/users/1/holds?cursor=${part}`,
  ];
  const byte = fc.integer({ min: 0x21, max: 0xff });
  const escaped = fc
    .integer({ min: 0, max: 0xff })
    .map((n) => `%${n.toString(16).padStart(2, "0")}`);
  const letter = byte.map((n) => String.fromCharCode(n)).filter((text) => !"#/?".includes(text));
  const part = fc
    .array(fc.oneof(escaped, letter, fc.constantFrom("%", "%2", "%zz", "__proto__", "1", "%00")), {
      minLength: 1,
      maxLength: 8,
    })
    .map((texts) => texts.join(""));

  test(`are refused or answered (seed ${seed})`, async () => {
    const property = fc.asyncProperty(part, part, async (inPath, inHeader) => {
      const requests = paths(inPath).map(
        (path, index, all) =>
          `GET ${path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ${inHeader}\r\n` +
          `If-Match: ${inHeader}\r\nIdempotency-Key: ${inHeader}\r\n` +
          `${index === all.length - 1 ? "Connection: close\r\n" : ""}\r\n`,
      );
      const answers = await sendRaw(server.url, Buffer.from(requests.join(""), "latin1"));
      for (const { status } of answers) expect([200, 304, 400, 404, 412]).toContain(status);
      expect(answers.length).toBeGreaterThan(0);
    });
    await fc.assert(property, { seed, numRuns });
  });
});
