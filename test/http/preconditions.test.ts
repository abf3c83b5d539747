/** If-Match and minBalance: on every write, and refused before anything is done. */
import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { type Answer, createApiClient, expectError } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
const server = await serveInProcess(databaseUrl);
const api = createApiClient(server.url);

const changed = "The user has changed since: the version is not the one that If-Match names";
const insufficient = "Insufficient funds for this operation";
const tooLittle = "Less than minBalance would be left";

let user = 0;
let payee = 0;
let holdId = "";

/** A user with 50 to spend and 50 on hold, at version 2. */
beforeEach(async () => {
  user = await api.openUser(100);
  payee = await api.openUser(0);
  const { body } = await api.post<{ id: string }>(`/api/users/${user}/holds`, { amount: 50 });
  holdId = body.data?.id as string;
});

/** Each write that takes a precondition, about the user; `left` is what it leaves to spend. */
interface Guarded {
  readonly what: string;
  readonly left: number;
  readonly status: number;
  /** How many of the user's entries it makes. */
  readonly entries: number;
  readonly send: (headers: Record<string, string>, body?: object) => Promise<Answer>;
}

const writes: Guarded[] = [
  {
    ...{ what: "PUT balance", left: 40, status: 200, entries: 1 },
    send: (headers, body) =>
      api.put(`/api/users/${user}/balance`, { amount: -10, ...body }, headers),
  },
  {
    ...{ what: "POST transfers", left: 40, status: 201, entries: 1 },
    send: (headers, body) =>
      api.post("/api/transfers", { from: user, to: payee, amount: 10, ...body }, headers),
  },
  {
    ...{ what: "POST holds", left: 40, status: 201, entries: 1 },
    send: (headers, body) => api.post(`/api/users/${user}/holds`, { amount: 10, ...body }, headers),
  },
  {
    ...{ what: "POST capture", left: 90, status: 200, entries: 2 },
    send: (headers, body) =>
      api.post(`/api/users/${user}/holds/${holdId}/capture`, { amount: 10, ...body }, headers),
  },
  {
    ...{ what: "POST capture for another user", left: 90, status: 200, entries: 2 },
    send: (headers, body) => {
      const path = `/api/users/${user}/holds/${holdId}/capture`;
      return api.post(path, { amount: 10, to: payee, ...body }, headers);
    },
  },
  {
    ...{ what: "POST transfers/batch", left: 40, status: 201, entries: 1 },
    send: (headers, body) => {
      const transfers = [{ from: user, to: payee, amount: 10, ...body }];
      return api.post("/api/transfers/batch", { transfers }, headers);
    },
  },
];
/** A void leaves more than before, so it takes no floor. */
const guarded: Guarded[] = [
  ...writes,
  {
    ...{ what: "POST void", left: 100, status: 200, entries: 1 },
    send: (headers) => api.post(`/api/users/${user}/holds/${holdId}/void`, {}, headers),
  },
];

const etag = async () => (await api.get(`/api/users/${user}`)).headers.get("etag");
/** What a batch says begins with the leg that it is about. */
const told = (what: string, message: string) =>
  what.endsWith("batch") ? `transfers.0: ${message}` : message;

describe("If-Match", () => {
  test("the ETag is the version: each entry makes another", async () => {
    expect(await etag()).toBe('"v2"');
    expect(await etag()).toBe('"v2"');
    const { headers } = await api.put(`/api/users/${user}/balance`, { amount: 1 });
    expect(headers.get("etag")).toBe('"v3"');
    expect(await etag()).toBe('"v3"');
    expect((await api.get(`/api/users/${payee}`)).headers.get("etag")).toBe('"v0"');
    const head = await fetch(`${server.url}/api/users/${user}`, { method: "HEAD" });
    expect([head.status, head.headers.get("etag")]).toEqual([200, '"v3"']);
  });

  test.each(guarded)("$what: the version that is, is", async ({ send, status, left, entries }) => {
    const answer = await send({ "If-Match": (await etag()) as string });
    expect([answer.status, await api.balanceOf(user)]).toEqual([status, left]);
    expect(await etag()).toBe(`"v${2 + entries}"`);
  });

  test.each(guarded)("$what: * asks for nothing", async ({ send, status }) => {
    expect((await send({ "If-Match": "*" })).status).toBe(status);
  });

  test.each(guarded)(
    "$what: another version is refused, and nothing is stored",
    async ({ what, send }) => {
      const before = await tables.fingerprint();
      for (const version of ['"v1"', '"v3"', '"v0"', '"v999999999999999"']) {
        const answer = await send({ "If-Match": version });
        expectError(answer, "PRECONDITION_FAILED", told(what, changed));
      }
      expect(await tables.fingerprint()).toBe(before);
    },
  );

  test("with the W/ that a proxy puts before it when it compresses: the version counts", async () => {
    const { send } = writes[0] as Guarded;
    expectError(await send({ "If-Match": 'W/"v1"' }), "PRECONDITION_FAILED", changed);
    expect((await send({ "If-Match": 'W/"v2"' })).status).toBe(200);
  });

  test("of a read: 412 for a version that is not, whatever its strength", async () => {
    const read = (value: string) => api.get(`/api/users/${user}`, { "if-match": value });
    for (const value of ['"v2"', 'W/"v2"', '"v1", "v2"', "*"]) {
      expect((await read(value)).status).toBe(200);
    }
    expectError(await read('"v1"'), "PRECONDITION_FAILED", changed);
  });

  test.each(guarded)("$what: what is no ETag of ours is refused", async ({ send }) => {
    const message = 'If-Match must be one ETag as GET /api/users/:userId gives it, like "v12"';
    const before = await tables.fingerprint();
    const wrong = ["v2", '"2"', '"v2", "v3"', '"v-2"', '"v2.0"', '"v"', '"V2"', '"v1e3"', "", "**"];
    for (const header of [...wrong, '"v9999999999999999"']) {
      expectError(await send({ "If-Match": header }), "INVALID_REQUEST", message);
    }
    expect(await tables.fingerprint()).toBe(before);
  });

  test("it is the payer's version that counts, not the recipient's", async () => {
    const body = { from: payee, to: user, amount: 1 };
    const refused = await api.post("/api/transfers", body, { "If-Match": '"v2"' });
    expectError(refused, "PRECONDITION_FAILED", changed);
    const poor = await api.post("/api/transfers", body, { "If-Match": '"v0"' });
    expectError(poor, "INSUFFICIENT_FUNDS", insufficient);
  });

  test("a batch asks its first payer", async () => {
    const leg = (from: number, to: number) => ({ from, to, amount: 1 });
    const transfers = [leg(user, payee), leg(payee, user)];
    const path = "/api/transfers/batch";
    const refused = await api.post(path, { transfers }, { "If-Match": '"v0"' });
    expectError(refused, "PRECONDITION_FAILED", `transfers.0: ${changed}`);
    expect((await api.post(path, { transfers }, { "If-Match": '"v2"' })).status).toBe(201);
  });

  test("100 who have read the same version: one writes", async () => {
    const tag = { "If-Match": (await etag()) as string };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => api.put(`/api/users/${user}/balance`, { amount: -1 }, tag)),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...new Array(99).fill(412)]);
    expect(await api.balanceOf(user)).toBe(49);
  });

  test("a refusal is kept under its key, with the precondition as a part of the request", async () => {
    const { send } = writes[0] as Guarded;
    const key = { "Idempotency-Key": "if" };
    expectError(await send({ ...key, "If-Match": '"v3"' }), "PRECONDITION_FAILED", changed);
    await send({});
    const again = await send({ ...key, "If-Match": '"v3"' });
    expectError(again, "PRECONDITION_FAILED", changed);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    const reused = "This Idempotency-Key was used before with a different request";
    expectError(await send(key), "IDEMPOTENCY_KEY_REUSED", reused);
  });

  test("a user who is not there is not found, whatever the version", async () => {
    const answer = await api.put(
      "/api/users/987654321/balance",
      { amount: 1 },
      { "If-Match": '"v0"' },
    );
    expectError(answer, "USER_NOT_FOUND", "User 987654321 not found");
  });
});

describe("minBalance", () => {
  test.each(writes)("$what: a floor that holds is none", async ({ send, status, left }) => {
    expect((await send({}, { minBalance: left })).status).toBe(status);
    expect(await api.balanceOf(user)).toBe(left);
  });

  test.each(writes)(
    "$what: below the floor is refused, and nothing is stored",
    async ({ what, send, left }) => {
      const before = await tables.fingerprint();
      for (const minBalance of [left + 1, Number.MAX_SAFE_INTEGER]) {
        const answer = await send({}, { minBalance });
        expectError(answer, "INSUFFICIENT_FUNDS", told(what, tooLittle));
      }
      expect(await tables.fingerprint()).toBe(before);
    },
  );

  test("a deposit that leaves less than the floor is refused as well", async () => {
    const put = (body: object) => api.put(`/api/users/${user}/balance`, body);
    expectError(await put({ amount: 5, minBalance: 56 }), "INSUFFICIENT_FUNDS", tooLittle);
    expect((await put({ amount: 5, minBalance: 55 })).status).toBe(200);
  });

  test.each(writes)("$what: a floor that is none is refused", async ({ what, send }) => {
    const rule = `minBalance must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
    const name = what.endsWith("batch") ? `transfers.0.${rule}` : rule;
    const before = await tables.fingerprint();
    for (const [minBalance, shown] of [
      [-1, "-1"],
      [1.5, "1.5"],
      ["5", '"5"'],
      [null, "null"],
      [2 ** 53, "9007199254740992"],
    ]) {
      expectError(await send({}, { minBalance }), "INVALID_REQUEST", `${name} (it is ${shown})`);
    }
    expect(await tables.fingerprint()).toBe(before);
  });

  test("together with If-Match: the version is asked first", async () => {
    const { send } = writes[0] as Guarded;
    const both = await send({ "If-Match": '"v1"' }, { minBalance: 99 });
    expectError(both, "PRECONDITION_FAILED", changed);
  });
});

test("a user who is not there yet has no version: If-Match refuses its creation", async () => {
  const created = await api.post("/api/users", { balance: 5 }, { "if-match": '"v1"' });
  expectError(created, "PRECONDITION_FAILED", changed);
});

describe("If-None-Match", () => {
  const read = (value: string, method = "GET") =>
    fetch(`${server.url}/api/users/${user}`, { method, headers: { "if-none-match": value } });

  test.each(['"v2"', 'W/"v2"', '"v1", "v2"', '"x",W/"v2" , "y"', "*"])(
    "of a read: what the client has is there still: %s",
    async (value) => {
      for (const method of ["GET", "HEAD"]) {
        const answer = await read(value, method);
        expect([answer.status, answer.headers.get("etag"), await answer.text()]).toEqual([
          304,
          '"v2"',
          "",
        ]);
      }
    },
  );

  test.each(['"v1"', '"v22"', "v2", '""', '"v1", "v3"'])(
    "of a read: what the client has is old: %s",
    async (value) => {
      const answer = await read(value);
      expect([answer.status, answer.headers.get("etag")]).toEqual([200, '"v2"']);
    },
  );

  test("of a balance at a moment, which has no tag, means nothing", async () => {
    const at = new Date().toISOString();
    const answer = await api.get(`/api/users/${user}?at=${at}`, { "if-none-match": "*" });
    expect(answer.status).toBe(200);
  });

  test.each(guarded)("$what: * is refused: what it asks for exists", async ({ send }) => {
    const before = await tables.fingerprint();
    const message = "If-None-Match: * asks for what does not exist yet; this changes what exists";
    expectError(await send({ "If-None-Match": "*" }), "PRECONDITION_FAILED", message);
    expect(await tables.fingerprint()).toBe(before);
  });

  test.each(guarded)("$what: other conditions are refused by name", async ({ send }) => {
    const before = await tables.fingerprint();
    for (const [name, value] of [
      ["if-none-match", '"v1"'],
      ["if-modified-since", "Sat, 31 Jan 2026 12:00:00 GMT"],
      ["if-unmodified-since", "Sat, 31 Jan 2026 12:00:00 GMT"],
      ["if-range", '"v2"'],
    ] as const) {
      const message = `${name} cannot be a condition of a change; If-Match with the ETag of the user can`;
      expectError(await send({ [name]: value }), "INVALID_REQUEST", message);
    }
    expect(await tables.fingerprint()).toBe(before);
  });

  test("of an opening: * asks for no more than it does anyway", async () => {
    const headers = { "if-none-match": "*" };
    expect((await api.post("/api/users", { balance: 5 }, headers)).status).toBe(201);
    expect((await api.post("/api/users", { id: user, balance: 5 }, headers)).status).toBe(409);
  });
});
