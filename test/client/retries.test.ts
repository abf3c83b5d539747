/** What is sent again, when, and what is said where it came to nothing: against a server that does as told. */
import { describe, expect, test } from "vitest";
import {
  BalanceClient,
  BalanceError,
  type ClientOptions,
} from "../../src/client/balance-client.ts";
import { freePort } from "../support/database/listening.ts";
import { type Step, startScriptedServer } from "../support/http/scripted-server.ts";

const server = await startScriptedServer();
const quick = { baseMs: 1, maxMs: 5 };

function clientWith(options: Partial<ClientOptions> = {}): BalanceClient {
  return new BalanceClient({ url: server.url, backoff: quick, ...options });
}

const data = { id: 1, balance: 8, previousBalance: 10, amount: -2 };
const done: Step = { status: 200, headers: { ETag: '"v3"' }, body: { success: true, data } };

function failing(status: number, code: string, more: object = {}, headers = {}): Step {
  const error = { code, message: `${code} it is`, ...more };
  return { status, headers, body: { success: false, error } };
}

async function errorOf(work: Promise<unknown>): Promise<BalanceError> {
  const error = await work.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(BalanceError);
  return error as BalanceError;
}

describe("sent again, under the same key, until it is answered:", () => {
  test.each<[what: string, step: Step]>([
    ["a connection that is cut", "cut"],
    ["an outcome that nobody knows", failing(424, "OUTCOME_UNKNOWN", { applied: "unknown" })],
    ["a server with too much to do", failing(503, "OVERLOADED", { applied: "no" })],
    ["a request that did not arrive", failing(408, "REQUEST_TIMEOUT")],
    ["a limit of a proxy", { status: 429, body: "slow down" }],
    ["a proxy without its server", { status: 502, body: "<h1>Bad Gateway</h1>" }],
    ["a proxy that waited long enough", { status: 504, body: "" }],
    ["a fault of a proxy", { status: 500, body: "<h1>Oops</h1>" }],
    [
      "an answer that is cut short and says nothing of its length",
      { status: 200, headers: { "Content-Type": "application/json" }, body: '{"success":tr' },
    ],
  ])("%s", async (_what, step) => {
    const asked = server.script(step, step, done);
    const retries: string[] = [];
    const client = clientWith({
      onRetry: ({ error, tries }) => retries.push(`${tries} ${error.code}`),
    });
    expect(await client.adjust(1, -2)).toMatchObject({ ...data, version: 3, replayed: false });
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
    expect(new Set(asked.map(({ body }) => body))).toEqual(new Set(['{"amount":-2}']));
    expect(retries).toHaveLength(2);
  });

  test("a read too, which needs no key", async () => {
    const user = { success: true, data: { id: 1, balance: 8 } };
    const asked = server.script("cut", failing(503, "OVERLOADED"), { status: 200, body: user });
    expect(await clientWith().getUser(1)).toEqual({ id: 1, balance: 8, version: undefined });
    expect(asked.map(({ headers }) => headers["idempotency-key"])).toEqual([
      ...[undefined, undefined, undefined],
    ]);
  });
});

describe("never sent again:", () => {
  test.each<[status: number, code: string]>([
    [400, "INVALID_REQUEST"],
    [401, "UNAUTHORIZED"],
    [403, "FORBIDDEN_ORIGIN"],
    [404, "USER_NOT_FOUND"],
    [409, "HOLD_CLOSED"],
    [412, "PRECONDITION_FAILED"],
    [422, "INSUFFICIENT_FUNDS"],
    [428, "IDEMPOTENCY_KEY_REQUIRED"],
    [500, "INTERNAL"],
  ])("%i %s", async (status, code) => {
    const more = { details: { balance: 1 }, applied: "no" };
    const asked = server.script(failing(status, code, more, { "X-Request-Id": "r-1" }));
    const error = await errorOf(clientWith().adjust(1, -2, { idempotencyKey: "mine" }));
    expect(asked).toHaveLength(1);
    expect({ ...error, message: error.message }).toEqual({
      ...{ name: "BalanceError", code, status, message: `${code} it is`, applied: "no", tries: 1 },
      ...{ details: { balance: 1 }, requestId: "r-1", idempotencyKey: "mine" },
      retryAfterMs: undefined,
    });
  });

  test("what is no answer of balancectl's", async () => {
    const asked = server.script({ status: 200, body: "<h1>Welcome</h1>" });
    const error = await errorOf(clientWith().adjust(1, -2));
    expect([asked.length, error.code, error.status, error.applied]).toEqual([
      ...[1, "UNEXPECTED_ANSWER", 200, "unknown"],
    ]);
  });

  test("a redirect, which would make a GET of a POST and take the token elsewhere", async () => {
    const asked = server.script({ status: 302, headers: { Location: "/elsewhere" } }, done);
    const error = await errorOf(clientWith({ token: "secret" }).openUser());
    expect([asked.length, error.code, error.applied]).toEqual([1, "UNEXPECTED_ANSWER", "no"]);
    expect(error.message).toBe("The server sends elsewhere (/elsewhere); use the URL of that");
  });
});

describe("when it came to nothing, it is said whether anything was changed:", () => {
  const overloaded = failing(503, "OVERLOADED", { applied: "no" });
  const unknown = failing(424, "OUTCOME_UNKNOWN", { applied: "unknown" });
  test.each<[what: string, steps: Step[], code: string, applied: string]>([
    ["every try was refused at the door", [overloaded], "OVERLOADED", "no"],
    ["the last try was, but one before was lost", ["cut", overloaded], "OVERLOADED", "unknown"],
    ["all were lost", ["cut"], "CONNECTION_FAILED", "unknown"],
    ["nobody knows", [unknown], "OUTCOME_UNKNOWN", "unknown"],
    ["lost, and then not let in", ["cut", failing(401, "UNAUTHORIZED")], "UNAUTHORIZED", "unknown"],
    [
      "lost, and then refused by the ledger, which looks under the key first",
      ["cut", failing(422, "INSUFFICIENT_FUNDS")],
      ...(["INSUFFICIENT_FUNDS", "no"] as const),
    ],
  ])("%s", async (_what, steps, code, applied) => {
    server.script(...steps);
    const error = await errorOf(clientWith({ triesMax: 3 }).adjust(1, -2));
    expect([error.code, error.applied]).toEqual([code, applied]);
  });

  test("nobody listens: nothing was sent", async () => {
    const client = clientWith({ url: `http://127.0.0.1:${await freePort()}`, triesMax: 2 });
    const error = await errorOf(client.adjust(1, -2));
    expect([error.code, error.applied, error.tries]).toEqual(["CONNECTION_FAILED", "no", 2]);
  });

  test("of a read nothing is", async () => {
    server.script("cut");
    expect((await errorOf(clientWith({ triesMax: 2 }).getUser(1))).applied).toBe("no");
  });
});

describe("Retry-After", () => {
  test("in seconds is waited for", async () => {
    const asked = server.script(failing(503, "OVERLOADED", {}, { "Retry-After": "1" }), done);
    await clientWith().adjust(1, -2);
    const [first, second] = asked.map(({ atMs }) => atMs);
    expect((second as number) - (first as number)).toBeGreaterThanOrEqual(995);
  });

  test("as a date is waited for", async () => {
    const date = new Date(Date.now() + 2_000).toUTCString();
    const asked = server.script(failing(503, "OVERLOADED", {}, { "Retry-After": date }), done);
    await clientWith().adjust(1, -2);
    const [first, second] = asked.map(({ atMs }) => atMs);
    // A date has whole seconds.
    expect((second as number) - (first as number)).toBeGreaterThan(900);
  });

  test("that is longer than the bound ends the call at once, and is told", async () => {
    const asked = server.script(failing(503, "OVERLOADED", {}, { "Retry-After": "3600" }));
    const error = await errorOf(clientWith().adjust(1, -2));
    expect([asked.length, error.code, error.retryAfterMs]).toEqual([1, "OVERLOADED", 3_600_000]);
  });

  test("that ends after the call's time ends it at once, too", async () => {
    const asked = server.script(failing(503, "OVERLOADED", {}, { "Retry-After": "5" }));
    const error = await errorOf(clientWith({ timeoutMs: 1_000 }).adjust(1, -2));
    expect([asked.length, error.code]).toEqual([1, "OVERLOADED"]);
  });
});

describe("time", () => {
  test("of a try: it is given up, and the next is made", async () => {
    const asked = server.script("never", done);
    await clientWith({ tryTimeoutMs: 50 }).adjust(1, -2);
    expect(asked).toHaveLength(2);
  });

  test("of a call", async () => {
    server.script("never");
    const error = await errorOf(clientWith().adjust(1, -2, { timeoutMs: 50 }));
    expect([error.code, error.applied, error.tries, error.message]).toEqual([
      ...["TIMEOUT", "unknown", 1, "No answer came in 50 ms"],
    ]);
  });

  test("of a fetch that minds no signal", async () => {
    const client = clientWith({
      fetch: () => new Promise(() => {}),
      tryTimeoutMs: 20,
      triesMax: 2,
    });
    expect(await errorOf(client.adjust(1, -2))).toMatchObject({ code: "TIMEOUT", tries: 2 });
  });

  test("without a bound", async () => {
    const forever = Number.POSITIVE_INFINITY;
    server.script(done);
    const client = clientWith({ timeoutMs: forever, tryTimeoutMs: forever });
    expect(await client.adjust(1, -2)).toMatchObject(data);
  });
});

describe("a signal", () => {
  test("ends a call that is on its way: nobody knows what becomes of it", async () => {
    const asked = server.script("never");
    const aborting = new AbortController();
    const client = clientWith({
      fetch: (url, init) => {
        setImmediate(() => aborting.abort(new Error("enough")));
        return fetch(url, init);
      },
    });
    const error = await errorOf(client.adjust(1, -2, { signal: aborting.signal }));
    expect(asked.length).toBeLessThanOrEqual(1);
    expect(error).toMatchObject({ code: "ABORTED", applied: "unknown", tries: 1 });
    expect((error.cause as Error).message).toBe("enough");
  });

  test("ends a wait", async () => {
    server.script(failing(503, "OVERLOADED", { applied: "no" }, { "Retry-After": "20" }));
    const aborting = new AbortController();
    const client = clientWith({ onRetry: () => setImmediate(() => aborting.abort()) });
    const error = await errorOf(client.adjust(1, -2, { signal: aborting.signal }));
    expect([error.code, error.applied]).toEqual(["ABORTED", "no"]);
  });

  test("that was given before sends nothing", async () => {
    const asked = server.script(done);
    const error = await errorOf(clientWith().adjust(1, -2, { signal: AbortSignal.abort() }));
    expect([asked.length, error.code, error.applied, error.tries]).toEqual([0, "ABORTED", "no", 0]);
  });
});

describe("a token", () => {
  test.each([
    ["as text", "t-1"],
    ["of a function", () => "t-1"],
    ["of a function that takes its time", async () => "t-1"],
  ])("%s is sent", async (_what, token) => {
    const asked = server.script(done);
    await clientWith({ token }).adjust(1, -2);
    expect(asked[0]?.headers.authorization).toBe("Bearer t-1");
  });

  test("is asked for before each try", async () => {
    let count = 0;
    const asked = server.script("cut", done);
    await clientWith({ token: () => `t-${++count}` }).adjust(1, -2);
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(["Bearer t-1", "Bearer t-2"]);
  });

  test("that cannot be had ends the call as its function did", async () => {
    const token = () => Promise.reject(new Error("no token today"));
    await expect(clientWith({ token }).adjust(1, -2)).rejects.toThrow("no token today");
  });

  test("that no header can carry is a mistake of the caller's, and not tried again", async () => {
    const asked = server.script(done);
    await expect(clientWith({ token: "a\nb" }).adjust(1, -2)).rejects.toThrow(TypeError);
    expect(asked).toHaveLength(0);
  });
});

test.each<[options: object, problem: RegExp]>([
  [{ url: "127.0.0.1:3000" }, /url must be an http or https URL/],
  [{ url: "" }, /url must be an http or https URL/],
  [{ url: "http://a:b@localhost" }, /no user and password/],
  [{ url: "http://localhost/?x" }, /before any \? and #/],
  [{ url: "http://localhost", timeoutMs: -1 }, /timeoutMs must be a number from 0 on/],
  [{ url: "http://localhost", triesMax: 0 }, /triesMax must be a number from 1 on/],
])("options that cannot be: %j", (options, problem) => {
  expect(() => new BalanceClient(options as ClientOptions)).toThrow(problem);
});

test("a path before the API's own, and a URL with a slash at its end", async () => {
  const asked = server.script(done);
  await clientWith({ url: `${server.url}/balances/` }).adjust(1, -2);
  expect(asked[0]?.path).toBe("/balances/api/users/1/balance");
});
