/** What says two things, or asks for what is not done here, changes nothing and is told so. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { asServerRole } from "../support/global-setup.ts";
import { createApiClient, type Exchange, exchange, expectError } from "../support/http/client.ts";
import { head, openSocket, parseAnswers, sendRaw } from "../support/http/raw.ts";
import { commandLine } from "../support/server/command-line.ts";
import { serveInProcess } from "../support/server/in-process.ts";
import { balancectl, startServer } from "../support/server/program.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
const server = await serveInProcess(databaseUrl);
const api = createApiClient(server.url);

const json = { "content-type": "application/json" };

function put(body: string, more: Partial<Exchange> = {}) {
  const request = { method: "PUT", path: "/api/users/1/balance", body, ...more };
  return exchange(server.url, { ...request, headers: { ...json, ...more.headers } });
}

/** Sends it, and sees that nothing was changed. */
async function unchanged<T>(send: () => Promise<T>): Promise<T> {
  const before = await tables.fingerprint();
  const answer = await send();
  expect(await tables.fingerprint()).toBe(before);
  return answer;
}

describe("a field that is there twice", () => {
  test.each([
    ['{"amount":-2,"amount":-2}', "amount"],
    ['{"amount":-1,"amount":-500}', "amount"],
    ['{"amount":-2,"\\u0061mount" : 3}', "amount"],
    ['{"amount":-2,"metadata":{"a":1,"b":{"c":[{"d":1,"e":2,"d":3}]}}}', "d"],
    ['{"__proto__":1,"amount":-2,"__proto__":2}', "__proto__"],
    [`{"amount":-2,"${"k".repeat(80)}":1,"${"k".repeat(80)}":1}`, `${"k".repeat(60)}…`],
  ])("%s", async (body, name) => {
    const answer = await unchanged(() => put(body));
    expectError(answer, "INVALID_REQUEST", `body has the field "${name}" twice`);
  });

  test("also on the command line", async () => {
    const { code, stderr } = await unchanged(() =>
      commandLine(databaseUrl).run("adjust", "1", "-2", "--metadata", '{"a":1,"a":2}'),
    );
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--metadata has the field "a" twice'),
    ]);
  });
});

describe("the media type", () => {
  test.each(["utf-16", "iso-8859-1", "utf-8x"])("in charset %s", async (charset) => {
    const headers = { "content-type": `application/json; a=b; charset="${charset}"` };
    const answer = await unchanged(() => put('{"amount":-2}', { headers }));
    expectError(
      answer,
      "UNSUPPORTED_MEDIA_TYPE",
      `The request body must be UTF-8 (charset=${charset})`,
    );
  });

  test.each(["", "odata=verbose", " charset=utf-8; odata.metadata=full", "charset=utf-8;"])(
    "with parameters that mean nothing: application/json;%s",
    async (parameters) => {
      const headers = { "content-type": `application/json;${parameters}` };
      expect((await put('{"amount":-2}', { headers })).status).toBe(200);
    },
  );
});

test.each([
  ["-1.99999999999999999999", "-2"],
  ["-2.00000000000000000001", "-2"],
  ["4503599627370497.25", "4503599627370497"],
  ["1.0000000000000001", "1"],
])("an amount of %s, which JSON.parse makes %s", async (amount, read) => {
  const answer = await unchanged(() => put(`{"amount":${amount}}`));
  const message = `amount must be a number that can be kept exactly: ${amount} would become ${read}`;
  expectError(answer, "INVALID_REQUEST", message);
});

test("a number in metadata that would become another one", async () => {
  const answer = await unchanged(() =>
    put('{"amount":-2,"metadata":{"ids":[1,12345678901234567890]}}'),
  );
  const message =
    "ids must be a number that can be kept exactly: " +
    "12345678901234567890 would become 12345678901234567000";
  expectError(answer, "INVALID_REQUEST", message);
});

test("what only looks like one of these is read", async () => {
  const { body: before } = await api.get<{ balance: number }>("/api/users/1");
  const metadata =
    '{"a":"\\"a\\":1","b":{"a":0.1,"b":1e3,"c":true,"e":null},"c":"x\\\\","d":[{"a":1},{"a":2}]}';
  const { status } = await put(`{ "amount" : -2.0 , "metadata": ${metadata} }`);
  expect(status).toBe(200);
  const entry = (await api.entriesOf(1)).at(-1);
  expect([entry?.balance, entry?.metadata]).toEqual([
    (before.data?.balance as number) - 2,
    JSON.parse(metadata),
  ]);
});

describe("parameters that a route does not have", () => {
  test.each(["dryRun=true", "amount=-2", "x", "__proto__=1"])("PUT ?%s", async (query) => {
    const path = `/api/users/1/balance?${query}`;
    const answer = await unchanged(() => put('{"amount":-2}', { path }));
    expectError(answer, "INVALID_REQUEST", `query has no field "${query.split("=")[0]}"`);
  });

  const id = "01890a5d-ac96-774b-bcce-b302099a8057";
  test.each<[string, object]>([
    ["/api/users", {}],
    ["/api/transfers", { from: 1, to: 2, amount: 1 }],
    ["/api/transfers/batch", { transfers: [{ from: 1, to: 2, amount: 1 }] }],
    ["/api/users/1/holds", { amount: 1 }],
    [`/api/users/1/holds/${id}/capture`, {}],
    [`/api/users/1/holds/${id}/void`, {}],
  ])("POST %s", async (path, body) => {
    const answer = await unchanged(() => api.post(`${path}?dryRun=1`, body));
    expectError(answer, "INVALID_REQUEST", 'query has no field "dryRun"');
  });

  test.each([
    "/api/users/1",
    "/api/users",
    "/api/users/1/entries",
    "/api/users/1/holds",
    `/api/users/1/holds/${id}`,
    `/api/transfers/${id}`,
    "/api/users/1/operations/k",
    "/api/operations/k",
  ])("GET %s", async (path) => {
    const answer = await api.get(`${path}?limits=1`);
    expectError(answer, "INVALID_REQUEST", 'query has no field "limits"');
  });

  test("a question mark alone is none, and probes may say what they like", async () => {
    expect((await api.get("/api/users/1?")).status).toBe(200);
    expect((await api.get("/healthz?ts=1")).status).toBe(200);
    expect((await api.get("/readyz?ts=1")).status).toBe(200);
  });
});

describe("headers that stand for two requests, or another's", () => {
  const write = "Content-Length: 13\r\nConnection: close";
  const request = (...headers: string[]) =>
    ["PUT /api/users/1/balance HTTP/1.1", ...headers, write, "", '{"amount":-2}'].join("\r\n");
  const type = "Content-Type: application/json";

  test.each([
    [
      "two Host",
      ["Host: localhost", "Host: evil.example", type],
      "The request has two Host headers",
    ],
    [
      "two Content-Type",
      ["Host: localhost", type, "content-type: text/plain"],
      "The request has two Content-Type headers",
    ],
    ...["localhost:80@evil.example", "localhost:x", "a b", "localhost/", "localhost:123456"].map(
      (host): [string, string[], string] => [
        `Host: ${host}`,
        [`Host: ${host}`, type],
        "The Host header must be a name or an address, and a port",
      ],
    ),
  ])("%s", async (_name, headers, message) => {
    const [answer] = await unchanged(() => sendRaw(server.url, request(...headers)));
    expect(answer?.status).toBe(400);
    expect(JSON.parse(answer?.body ?? "").error.message).toBe(message);
  });

  test.each(["cross-site", "same-site"])(
    "a page of another origin, by Sec-Fetch-Site: %s",
    async (site) => {
      const answer = await unchanged(() =>
        put('{"amount":-2}', { headers: { "sec-fetch-site": site } }),
      );
      expectError(answer, "FORBIDDEN_ORIGIN", "Writes from another web origin are refused");
    },
  );

  test.each(["same-origin", "none"])("but not Sec-Fetch-Site: %s", async (site) => {
    expect((await put('{"amount":-2}', { headers: { "sec-fetch-site": site } })).status).toBe(200);
  });
});

test("on every answer: not to be kept, not to be guessed at, not another site's", async () => {
  const everywhere = ["no-store", "nosniff", "same-origin"];
  const named = ["cache-control", "x-content-type-options", "cross-origin-resource-policy"];
  const answers = [
    await api.get("/api/users/1"),
    await api.get("/api/users/1", { "if-none-match": "*" }),
    await api.get("/nothing"),
    await api.get("/healthz"),
    await put('{"amount":-2}'),
    await put('{"amount":-20000}'),
    await put("{"),
    await api.put("/healthz", {}),
    await exchange(server.url, { path: "/api/users/1", method: "HEAD" }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([
    200, 304, 404, 200, 200, 422, 400, 405, 200,
  ]);
  for (const { headers } of answers) {
    expect(named.map((name) => headers.get(name))).toEqual(everywhere);
  }
  // What never becomes a request.
  for (const bytes of [
    "nonsense\r\n\r\n",
    head("CONNECT", "localhost:22"),
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
  ]) {
    const [answer] = await sendRaw(server.url, bytes);
    expect(named.map((name) => answer?.headers[name])).toEqual(everywhere);
  }
});

test("BALANCECTL_REQUIRE_KEYS: a change without a key is 428; reads, and the load run, go on", async () => {
  const url = await createTestDatabase();
  const env = { DATABASE_URL: asServerRole(url), BALANCECTL_REQUIRE_KEYS: "true" };
  const strict = await startServer(env);
  const send = (headers: Record<string, string>) =>
    exchange(strict.url, {
      ...{ method: "PUT", path: "/api/users/1/balance", body: '{"amount":-2}' },
      headers: { ...json, ...headers },
    });
  const message = "This server takes no change without an Idempotency-Key";
  expectError(await send({}), "IDEMPOTENCY_KEY_REQUIRED", message);
  expect((await exchange(strict.url, { path: "/api/users/1" })).text).toContain('"balance":10000');
  expect((await send({ "idempotency-key": "k" })).status).toBe(200);
  const run = ["stress", "--count", "600", "--balance", "600", "--url", strict.url];
  expect((await balancectl([...run, "--keys"], {})).code).toBe(0);
  expect((await balancectl(run, env)).code).toBe(0);
  expect((await balancectl(run, {})).code).toBe(1);
});

test("CONNECT holds nothing: a client that keeps its side open does not keep the server from stopping", async () => {
  const other = await startServer({
    DATABASE_URL: databaseUrl,
    BALANCECTL_DRAIN_TIMEOUT_MS: "1000",
  });
  const socket = await openSocket(other.url);
  socket.allowHalfOpen = true;
  const answered = once(socket, "data");
  socket.write(head("CONNECT", "localhost:22"));
  const [bytes] = await answered;
  expect(parseAnswers(bytes)[0]?.status).toBe(405);
  expect(await other.stop()).toBe(0);
  socket.destroy();
});
