/** Whatever a client sends: the right status, code and message; money untouched; server alive. */
import { gzipSync } from "node:zlib";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { AnswerCode } from "../../src/errors.ts";
import { statusOf } from "../../src/http/answer.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { asServerRole } from "../support/global-setup.ts";
import { type Exchange, exchange, withoutDetails } from "../support/http/client.ts";
import {
  head,
  openSocket,
  parseAnswers,
  type RawAnswer,
  readToEnd,
  sendRaw,
} from "../support/http/raw.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

let server: RunningServer;
let database: pg.Client;
let logged = "";

beforeAll(async () => {
  const url = await createTestDatabase();
  server = await startServer({ DATABASE_URL: asServerRole(url) });
  database = new pg.Client(url);
  await database.connect();
});

afterAll(() => database.end());

/** After every single test: user 1 is as the migration made it, and the server answers. */
afterEach(async () => {
  const { rows } = await database.query(
    `SELECT u.id, u.balance, u.version, u.held,
            (SELECT count(*) FROM entries) AS entries,
            (SELECT count(*) FROM idempotency_keys) AS keys
       FROM users u`,
  );
  expect(rows).toEqual([
    { id: "1", balance: "10000", version: "1", held: "0", entries: "1", keys: "0" },
  ]);
  const { text } = await exchange(server.url, { path: "/api/users/1" });
  expect(text).toBe('{"success":true,"data":{"id":1,"balance":10000}}');
  const before = logged;
  logged = server.stderr();
  expect(logged.slice(before.length)).toBe("");
});

const json = { "content-type": "application/json" };
const put = (body: Exchange["body"], headers: Exchange["headers"] = json): Exchange => ({
  method: "PUT",
  path: "/api/users/1/balance",
  headers,
  ...(body !== undefined && { body }),
});

/** The whole answer but its details: the code's own status, the envelope and nothing beside it. */
async function expectError(request: Exchange, code: AnswerCode, message: string): Promise<void> {
  const { status, headers, body } = await exchange(server.url, request);
  expect({ status, body: withoutDetails(body) }).toEqual({
    status: statusOf[code],
    body: { success: false, error: { code, message } },
  });
  expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
}

const notWhole = (given: string) =>
  "amount must be a whole number other than 0, " +
  `from -9007199254740991 to 9007199254740991 (it is ${given})`;

const notExact = (given: string, read: string) =>
  `amount must be a number that can be kept exactly: ${given} would become ${read}`;

describe("the amount", () => {
  test.each([
    ['"2"', notWhole('"2"')],
    ['"-2"', notWhole('"-2"')],
    ['""', notWhole('""')],
    ["2.5", notWhole("2.5")],
    ["-0.1", notWhole("-0.1")],
    ["1e-5", notWhole("0.00001")],
    ["1e400", notWhole("Infinity")],
    ["-1e400", notWhole("-Infinity")],
    ["1e21", notWhole("1e+21")],
    ["9007199254740992", notWhole("9007199254740992")],
    ["9007199254740993", notExact("9007199254740993", "9007199254740992")],
    ["-9007199254740993", notExact("-9007199254740993", "-9007199254740992")],
    ["12345678901234567890123", notExact("12345678901234567890123", "1.2345678901234568e+22")],
    ["null", notWhole("null")],
    ["true", notWhole("true")],
    ["false", notWhole("false")],
    ["[]", notWhole("an array")],
    ["[-2]", notWhole("an array")],
    ["{}", notWhole("an object")],
    ['{"valueOf":-2}', notWhole("an object")],
    ["0", "amount must not be 0 (it is 0)"],
    ["-0", "amount must not be 0 (it is 0)"],
    ["0.0", "amount must not be 0 (it is 0)"],
    ["1e-400", notExact("1e-400", "0")],
    ["-0e-400", "amount must not be 0 (it is 0)"],
  ])("%s is refused", async (amount, message) => {
    await expectError(put(`{"amount":${amount}}`), "INVALID_REQUEST", message);
  });

  test("a long string is cut in the message", async () => {
    const text = JSON.stringify({ amount: "9".repeat(50_000) });
    await expectError(put(text), "INVALID_REQUEST", notWhole(`"${"9".repeat(59)}…`));
  });

  test.each([
    ["{}", "body"],
    ['{"Amount":-2}', "case"],
    ['{"amount ":-2}', "blank"],
  ])("%s has none", async (body) => {
    const { body: answer } = await exchange(server.url, put(body));
    expect(answer.error?.code).toBe("INVALID_REQUEST");
    expect(answer.error?.message).toMatch(/^amount is missing: it must be a whole number other/);
  });
});

describe("the body", () => {
  test.each([
    ["[]", "an array"],
    ['[{"amount":-2}]', "an array"],
    ["null", "null"],
    ["-2", "-2"],
    ['"amount"', '"amount"'],
    ["true", "true"],
  ])("%s is no object", async (body, given) => {
    const message = `body must be a JSON object (it is ${given})`;
    await expectError(put(body), "INVALID_REQUEST", message);
  });

  test.each([
    ['{"amount":-2', "cut short"],
    ['{"amount":-2}}', "one brace too many"],
    ['{"amount":-2}{"amount":-2}', "two documents"],
    ["{'amount':-2}", "single quotes"],
    ["{amount:-2}", "no quotes"],
    ['{"amount":-2,}', "trailing comma"],
    ['{"amount":+2}', "plus sign"],
    ['{"amount":0x2}', "hexadecimal"],
    ['{"amount":02}', "leading zero"],
    ['{"amount":-02}', "leading zero below zero"],
    ['{"amount":.5}', "no digit before the point"],
    ['{"amount":2.}', "no digit after the point"],
    ['{"amount":NaN}', "NaN"],
    ['{"amount":-Infinity}', "Infinity"],
    ['{"amount":2n}', "bigint"],
    ['{"amount":-2} // please', "comment"],
    ['{"amount":-2}\u0000', "NUL behind it"],
    ["\u0000", "NUL"],
    ["amount=-2", "form"],
    ["<amount>-2</amount>", "XML"],
    ['\u{feff}\u{feff}{"amount":-2}', "two byte order marks"],
    [" ", "blank"],
  ])("%j is not JSON: %s", async (body) => {
    await expectError(put(body), "INVALID_JSON", "The request body is not valid JSON");
  });

  test.each([
    ["with Content-Length: 0", put("")],
    ["without any", put(undefined)],
    ["in no chunks", put([])],
  ])("is empty, %s", async (_name, request) => {
    const message = "The request body is empty; it must be JSON";
    await expectError(request, "INVALID_JSON", message);
  });

  test.each([
    ["Latin-1", Buffer.from('{"amount":-2,"reference":"é"}', "latin1")],
    ["UTF-16", Buffer.from('\ufeff{"amount":-2}', "utf16le")],
    ["an overlong encoding", Buffer.from([0x7b, 0xc0, 0xa2, 0x7d])],
    ["a surrogate", Buffer.from([0x7b, 0xed, 0xa0, 0x80, 0x7d])],
    ["half a character", Buffer.concat([Buffer.from('{"amount":-2}'), Buffer.from([0xe2, 0x82])])],
  ])("is not UTF-8: %s", async (_name, body) => {
    await expectError(put(body), "INVALID_JSON", "The request body is not UTF-8");
  });

  test.each([
    ['{"amount":-2,"amonut":-3}', 'body has no field "amonut"'],
    ['{"amount":-2,"userId":2}', 'body has no field "userId"'],
    ['{"amount":-2,"":1}', 'body has no field ""'],
    ['{"amount":-2,"__proto__":{"amount":-3}}', 'body has no field "__proto__"'],
    ['{"amount":-2,"constructor":{}}', 'body has no field "constructor"'],
    ['{"amount":-2,"toString":1}', 'body has no field "toString"'],
    ['{"amount":-2,"a":1,"b":2}', 'body has no field "a", "b"'],
  ])("%s has an unknown field", async (body, message) => {
    await expectError(put(body), "INVALID_REQUEST", message);
  });

  test("an amount in __proto__ is none", async () => {
    const { status, body } = await exchange(server.url, put('{"__proto__":{"amount":-2}}'));
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.error?.message).toMatch(/amount is missing/);
  });

  test("9,000 unknown fields do not make a long answer", async () => {
    const fields = Array.from({ length: 9_000 }, (_, n) => [`f${n}`, 0]);
    const body = JSON.stringify({ amount: -2, ...Object.fromEntries(fields) });
    const { status, text } = await exchange(server.url, put(body));
    expect([status, text.length < 2_000]).toEqual([400, true]);
    expect(text).toContain('"code":"INVALID_REQUEST","message":"body has no field \\"f0\\"');
  });

  test.each([
    ["minBalance", "-1", "must be a whole number from 0 to 9007199254740991 (it is -1)"],
    ["minBalance", '"0"', 'must be a whole number from 0 to 9007199254740991 (it is "0")'],
    ["minBalance", "null", "must be a whole number from 0 to 9007199254740991 (it is null)"],
    ["reference", "1", "must be a string (it is 1)"],
    ["reference", "null", "must be a string (it is null)"],
    ["metadata", "[]", "must be a JSON object (it is an array)"],
    ["metadata", '"x"', 'must be a JSON object (it is "x")'],
    ["metadata", "null", "must be a JSON object (it is null)"],
  ])("%s %s is refused", async (field, value, problem) => {
    const body = `{"amount":-2,"${field}":${value}}`;
    await expectError(put(body), "INVALID_REQUEST", `${field} ${problem}`);
  });

  test("every wrong field is named", async () => {
    const body = '{"amount":"x","reference":1,"metadata":2,"more":3}';
    const { body: answer } = await exchange(server.url, put(body));
    const named = answer.error?.message.split("; ").map((problem) => problem.split(" ")[0]);
    expect(named?.sort()).toEqual(["amount", "body", "metadata", "reference"]);
  });
});

describe("deep nesting", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

  test("as the body", async () => {
    const message = "body must be a JSON object (it is an array)";
    await expectError(put(nested(50_000)), "INVALID_REQUEST", message);
  });

  test("as the amount", async () => {
    const body = `{"amount":${nested(49_000)}}`;
    await expectError(put(body), "INVALID_REQUEST", notWhole("an array"));
  });

  test.each([1_000, 3_000, 10_000, 49_000])("as metadata, %i deep", async (depth) => {
    const body = `{"amount":-20000,"metadata":{"a":${nested(depth)}}}`;
    const { status, body: answer } = await exchange(server.url, put(body));
    expect([status, answer.error?.code]).toEqual(
      depth === 1_000 ? [422, "INSUFFICIENT_FUNDS"] : [400, "INVALID_REQUEST"],
    );
  });

  test("as unknown objects", async () => {
    const body = `{"amount":-2,"x":${'{"x":'.repeat(16_000)}1${"}".repeat(16_000)}}`;
    await expectError(put(body), "INVALID_REQUEST", 'body has no field "x"');
  });
});

describe("too large a body", () => {
  const message = "The request body is larger than 100000 bytes";
  const twoMegabytes = Buffer.alloc(2_000_000, " ");

  test("2 MB with Content-Length", async () => {
    await expectError(put(twoMegabytes), "PAYLOAD_TOO_LARGE", message);
  });

  test("2 MB in chunks", async () => {
    const pieces = Array.from({ length: 20 }, () => Buffer.alloc(100_000, " "));
    await expectError(put(pieces), "PAYLOAD_TOO_LARGE", message);
  });

  test("one byte too many", async () => {
    const body = '{"amount":-20000}'.padEnd(100_001);
    await expectError(put(body), "PAYLOAD_TOO_LARGE", message);
    await expectError(put([Buffer.from(body)]), "PAYLOAD_TOO_LARGE", message);
  });

  test("exactly as much as is allowed is read", async () => {
    const body = '{"amount":-20000}'.padEnd(100_000);
    const insufficient = "Insufficient funds for this operation";
    await expectError(put(body), "INSUFFICIENT_FUNDS", insufficient);
  });

  test("said before the body has arrived", async () => {
    const socket = await openSocket(server.url);
    const closed = readToEnd(socket);
    const headers = ["Content-Type: application/json", "Content-Length: 1000000000000"];
    socket.write(head("PUT", "/api/users/1/balance", ...headers));
    const [answer] = await new Promise<RawAnswer[]>((resolve) => {
      socket.once("data", (bytes) => resolve(parseAnswers(bytes)));
    });
    expect(answer?.status).toBe(413);
    socket.destroy();
    await closed;
  });
});

describe("the media type", () => {
  const body = '{"amount":-2}';

  test.each([
    ["none", {}],
    ["an empty one", { "content-type": "" }],
    ["text/plain", { "content-type": "text/plain" }],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["a multipart form", { "content-type": "multipart/form-data; boundary=x" }],
    ["text/json", { "content-type": "text/json" }],
    ["another JSON", { "content-type": "application/vnd.api+json" }],
    ["a longer name", { "content-type": "application/json-patch+json" }],
    ["a name that only begins so", { "content-type": "application/jsonx" }],
    ["two at once", { "content-type": "application/json, text/plain" }],
    ["no type at all", { "content-type": "; charset=utf-8" }],
  ])("%s", async (_name, headers) => {
    const message = "The request body must be JSON, sent as application/json";
    await expectError(put(body, headers), "UNSUPPORTED_MEDIA_TYPE", message);
  });

  test.each([
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json ; charset=utf8",
  ])("%s is taken", async (type) => {
    const request = put('{"amount":-20000}', { "content-type": type });
    const insufficient = "Insufficient funds for this operation";
    await expectError(request, "INSUFFICIENT_FUNDS", insufficient);
  });

  test.each(["gzip", "br", "deflate", "compress", "gzip, gzip", "x"])(
    "Content-Encoding %s",
    async (encoding) => {
      const headers = { ...json, "content-encoding": encoding };
      const message = `The request body must not be compressed (Content-Encoding: ${encoding})`;
      await expectError(put(gzipSync(body), headers), "UNSUPPORTED_MEDIA_TYPE", message);
    },
  );

  test("a Transfer-Encoding beside chunked", async () => {
    const [answer] = await sendRaw(
      server.url,
      "PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
        "Content-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" +
        'd\r\n{"amount":-1}\r\n0\r\n\r\n',
    );
    expect(answer?.status).toBe(415);
  });

  test("gzip that does not say so", async () => {
    await expectError(put(gzipSync(body)), "INVALID_JSON", "The request body is not UTF-8");
  });
});

describe("the user id", () => {
  const ids: [id: string, decoded?: string][] = [
    ["0"],
    ["-1"],
    ["-0"],
    ["+1"],
    ["01"],
    ["1.0"],
    ["1.5"],
    ["1e3"],
    ["0x1"],
    ["1n"],
    ["1,000"],
    ["abc"],
    ["null"],
    ["undefined"],
    ["NaN"],
    ["__proto__"],
    ["1%20", "1 "],
    ["%201", " 1"],
    ["1%00", "1\u0000"],
    ["1%0a", "1\n"],
    ["1%2f2", "1/2"],
    ["%D9%A1", "١"],
    ["1;drop%20table%20users", "1;drop table users"],
    ["9007199254740992"],
    ["9007199254740993"],
    ["9999999999999999"],
    ["18446744073709551617"],
  ];

  test.each(ids)("%s", async (id, decoded = id) => {
    const message =
      "path: userId must be a whole number from 1 to 9007199254740991 " +
      `(it is ${JSON.stringify(decoded)})`;
    const body = '{"amount":-2}';
    await expectError({ path: `/api/users/${id}` }, "INVALID_REQUEST", message);
    await expectError({ path: `/api/users/${id}/entries` }, "INVALID_REQUEST", message);
    await expectError(
      { ...put(body), path: `/api/users/${id}/balance` },
      "INVALID_REQUEST",
      message,
    );
  });

  test("10,000 digits", async () => {
    const message = `path: userId must be a whole number from 1 to 9007199254740991 (it is "${"1".repeat(59)}…)`;
    const path = `/api/users/${"1".repeat(10_000)}`;
    await expectError({ path }, "INVALID_REQUEST", message);
  });

  test.each(["%zz", "%", "%c3%28", "1%2"])("%s cannot be decoded", async (id) => {
    const message = "The path has a malformed % sequence";
    await expectError({ path: `/api/users/${id}` }, "INVALID_REQUEST", message);
  });

  test.each([2, 4_000_000_000, 9007199254740991])("%d is nobody", async (id) => {
    const message = `User ${id} not found`;
    const body = '{"amount":5}';
    await expectError({ path: `/api/users/${id}` }, "USER_NOT_FOUND", message);
    await expectError({ path: `/api/users/${id}/entries` }, "USER_NOT_FOUND", message);
    await expectError(
      { ...put(body), path: `/api/users/${id}/balance` },
      "USER_NOT_FOUND",
      message,
    );
  });
});

describe("the route", () => {
  test.each([
    "/",
    "/api",
    "/api/",
    "/api/user/1",
    "/api/users/1/balanc",
    "/api/users/1/balance/2",
    "/api/users//balance",
    "//api/users/1",
    "/api/users/1/entries/1",
    "/favicon.ico",
    "/.env",
  ])("%s is unknown", async (path) => {
    await expectError({ path }, "ROUTE_NOT_FOUND", `There is nothing at ${path}`);
  });

  test.each(["/api/users/1/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/../.env"])(
    "%s, not tidied up by the client, is unknown",
    async (path) => {
      const [answer] = await sendRaw(server.url, head("GET", path, "Connection: close"));
      expect(answer?.status).toBe(404);
      expect(answer && errorCodeOf(answer)).toBe("ROUTE_NOT_FOUND");
    },
  );

  test("a long one is cut in the message", async () => {
    const path = `/${"a".repeat(8_000)}`;
    const message = `There is nothing at ${path.slice(0, 100)}…`;
    await expectError({ path }, "ROUTE_NOT_FOUND", message);
  });

  test.each([
    ["GET", "/api/users/1/balance", "PUT"],
    ["HEAD", "/api/users/1/balance", "PUT"],
    ["POST", "/api/users/1/balance", "PUT"],
    ["PATCH", "/api/users/1/balance", "PUT"],
    ["DELETE", "/api/users/1/balance", "PUT"],
    ["OPTIONS", "/api/users/1/balance", "PUT"],
    ["TRACE", "/api/users/1/balance", "PUT"],
    ["PUT", "/api/users/1", "GET, HEAD"],
    ["POST", "/api/users/1", "GET, HEAD"],
    ["DELETE", "/api/users/1", "GET, HEAD"],
    ["OPTIONS", "/api/users/1", "GET, HEAD"],
    ["PUT", "/api/users", "GET, HEAD, POST"],
    ["DELETE", "/api/users", "GET, HEAD, POST"],
    ["OPTIONS", "/api/users", "GET, HEAD, POST"],
    ["POST", "/api/users/1/entries", "GET, HEAD"],
    ["DELETE", "/api/users/1/entries", "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
    ["OPTIONS", "/readyz", "GET, HEAD"],
  ])("%s %s is not possible", async (method, path, allow) => {
    const { status, headers, body } = await exchange(server.url, { method, path });
    expect([status, headers.get("allow")]).toEqual([405, allow]);
    if (method === "HEAD") return;
    const message = `${method} is not possible here; possible: ${allow}`;
    expect(body.error).toEqual({ code: "METHOD_NOT_ALLOWED", message });
  });

  test.each(["/api/users/1", "/api/users", "/api/users/1/entries", "/healthz", "/readyz"])(
    "HEAD %s is GET without its body",
    async (path) => {
      const get = await exchange(server.url, { path });
      const answer = await exchange(server.url, { method: "HEAD", path });
      expect(answer.text).toBe("");
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-length")).toBe(String(Buffer.byteLength(get.text)));
    },
  );
});

describe("the query", () => {
  const limit = (given: string) => `limit must be a whole number from 1 to 1000 (it is ${given})`;

  test.each([
    ["/api/users/1?ad=1", 'query has no field "ad"'],
    ["/api/users/1/entries?limt=1", 'query has no field "limt"'],
    ["/api/users/1/entries?limit=0", limit('"0"')],
    ["/api/users/1/entries?limit=-1", limit('"-1"')],
    ["/api/users/1/entries?limit=1001", limit('"1001"')],
    ["/api/users/1/entries?limit=1e2", limit('"1e2"')],
    ["/api/users/1/entries?limit=", limit('""')],
    ["/api/users/1/entries?limit=1;drop", limit('"1;drop"')],
    ["/api/users/1/entries?order=up", 'order must be asc or desc (it is "up")'],
    ["/api/users?limit=99999999999", limit('"99999999999"')],
    ["/api/users?__proto__=1", 'query has no field "__proto__"'],
  ])("%s", async (path, message) => {
    await expectError({ path }, "INVALID_REQUEST", message);
  });

  test("a repeated one", async () => {
    const { status, body } = await exchange(server.url, {
      path: "/api/users/1/entries?limit=1&limit=2",
    });
    expect([status, body.error?.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.error?.message).toMatch(/^limit .*\(it is an array\)$/);
  });
});

describe("who asks", () => {
  const body = '{"amount":-2}';
  const origin = "Writes from another web origin are refused";

  test.each([
    "http://evil.example",
    "https://localhost.evil.example",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "null",
    "",
    "file://",
  ])("a write from origin %j", async (given) => {
    const request = put(body, { ...json, origin: given });
    await expectError(request, "FORBIDDEN_ORIGIN", origin);
  });

  test("a write from a page, disguised as a form", async () => {
    const headers = { "content-type": "text/plain", origin: "http://evil.example" };
    await expectError(put(body, headers), "FORBIDDEN_ORIGIN", origin);
  });

  test("no answer invites other origins", async () => {
    const { status, headers } = await exchange(server.url, {
      path: "/api/users/1",
      headers: { origin: "http://evil.example" },
    });
    expect(status).toBe(200);
    expect(headers.get("access-control-allow-origin")).toBeNull();
    const preflight = await exchange(server.url, {
      method: "OPTIONS",
      path: "/api/users/1/balance",
      headers: { origin: "http://evil.example", "access-control-request-method": "PUT" },
    });
    expect(preflight.status).toBe(403);
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  });

  test.each([
    ["evil.example", "evil.example"],
    ["evil.example:3000", "evil.example"],
    ["localhost.evil.example", "localhost.evil.example"],
    ["127.0.0.1.nip.io", "127.0.0.1.nip.io"],
  ])("for host %s", async (host, name) => {
    const message =
      `This server does not answer for the host ${JSON.stringify(name)}; ` +
      "BALANCECTL_ALLOWED_HOSTS can add it";
    await expectError({ path: "/api/users/1", headers: { host } }, "FORBIDDEN_HOST", message);
    await expectError(put(body, { ...json, host }), "FORBIDDEN_HOST", message);
  });

  test.each(["localhost", "LOCALHOST:3000", "127.0.0.1:9", "[::1]", "[::1]:3000"])(
    "for host %s is answered",
    async (host) => {
      const { status } = await exchange(server.url, { path: "/api/users/1", headers: { host } });
      expect(status).toBe(200);
    },
  );
});

describe("what is hardly HTTP", () => {
  const valid = '{"amount":-2}';
  const long = "x".repeat(20_000);
  const path = "/api/users/1/balance";

  const refused = [
    ["noise", "\u0000\u0001\u0002\r\n\r\n", 400, "INVALID_REQUEST"],
    ["TLS", Buffer.from("16030100f6010000f20303", "hex"), 400, "INVALID_REQUEST"],
    ["SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, "INVALID_REQUEST"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "INVALID_REQUEST"],
    ["an unknown method", head("STEAL", path), 400, "INVALID_REQUEST"],
    ["an unknown version", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, "INVALID_REQUEST"],
    ["a header without a colon", head("GET", path, "nonsense"), 400, "INVALID_REQUEST"],
    ["NUL in a header", head("GET", path, "X: \u0000"), 400, "INVALID_REQUEST"],
    ["a long header", head("GET", path, `X: ${long}`), 431, "HEADERS_TOO_LARGE"],
    ["a long path", head("GET", `/${long}`), 431, "HEADERS_TOO_LARGE"],
    [
      "2,000 headers",
      head("GET", path, ...Array.from({ length: 2_000 }, (_, n) => `X-${n}: ${n}`)),
      431,
      "HEADERS_TOO_LARGE",
    ],
    ["a length that is none", head("PUT", path, "Content-Length: x"), 400, "INVALID_REQUEST"],
    ["a length below zero", head("PUT", path, "Content-Length: -1"), 400, "INVALID_REQUEST"],
    [
      "two lengths",
      head("PUT", path, "Content-Length: 13", "Content-Length: 14") + valid,
      400,
      "INVALID_REQUEST",
    ],
    [
      "a length and chunks",
      `${head("PUT", path, "Content-Length: 13", "Transfer-Encoding: chunked")}0\r\n\r\n`,
      400,
      "INVALID_REQUEST",
    ],
    [
      "a broken chunk",
      `${head("PUT", path, "Content-Type: application/json", "Transfer-Encoding: chunked")}zz\r\n`,
      400,
      "INVALID_REQUEST",
    ],
    ["no host", "GET /api/users/1 HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "INVALID_REQUEST"],
    [
      "an expectation that nobody can meet",
      head("GET", "/api/users/1", "Expect: miracles", "Connection: close"),
      400,
      "INVALID_REQUEST",
    ],
  ] as const;

  test.each(refused)("%s gets one answer, in the envelope", async (_name, bytes, status, code) => {
    const answers = await sendRaw(server.url, bytes);
    const seen = answers.map((answer) => [answer.status, errorCodeOf(answer)]);
    expect(seen).toEqual([[status, code]]);
  });

  test("what is wrong with it is said", async () => {
    const [answer] = await sendRaw(server.url, head("PUT", path, "Content-Length: x"));
    expect(answer?.body).toContain("not valid HTTP: Invalid character in Content-Length");
  });

  test("a wish to speak another protocol is passed over", async () => {
    const wish = ["Connection: upgrade, close", "Upgrade: websocket"];
    const [answer] = await sendRaw(server.url, head("GET", "/api/users/1", ...wish));
    expect(answer?.status).toBe(200);
  });

  test("CONNECT", async () => {
    const request = "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const [answer, ...more] = await sendRaw(server.url, request);
    expect([answer?.status, answer?.headers["connection"], more]).toEqual([405, "close", []]);
    expect(answer?.body).toContain("CONNECT is not possible here");
  });

  test("OPTIONS *", async () => {
    const [answer] = await sendRaw(server.url, head("OPTIONS", "*", "Connection: close"));
    expect(answer?.status).toBe(404);
  });

  test.each([
    ["half a head", "PUT /api/users/1/balance HTTP/1.1\r\nHost: loc"],
    ["a head alone", head("PUT", path, "Content-Type: application/json", "Content-Length: 13")],
    [
      "half a body",
      `${head("PUT", path, "Content-Type: application/json", "Content-Length: 13")}{"amount"`,
    ],
    [
      "a whole document in half a body",
      `${head("PUT", path, "Content-Type: application/json", "Content-Length: 14")}${valid}`,
    ],
    [
      "chunks without an end",
      `${head("PUT", path, "Content-Type: application/json", "Transfer-Encoding: chunked")}d\r\n${valid}\r\n`,
    ],
  ])("%s, then gone", async (_name, bytes) => {
    const socket = await openSocket(server.url);
    const closed = readToEnd(socket);
    await new Promise((resolve) => socket.end(bytes, () => resolve(undefined)));
    await closed;
    const rude = await openSocket(server.url);
    await new Promise((resolve) => rude.write(bytes, resolve));
    rude.resetAndDestroy();
  });

  test("requests in one packet are answered in their order", async () => {
    const answers = await sendRaw(
      server.url,
      head("GET", "/api/users/1") +
        head("GET", "/api/users/2") +
        head("GET", "/healthz", "Connection: close"),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 200]);
  });
});

function errorCodeOf({ body }: RawAnswer): string | undefined {
  if (!body.startsWith("{")) return "(no envelope)";
  return (JSON.parse(body) as { error?: { code: string } }).error?.code;
}
