/** The door: who is let in, to what, and what is said to the others. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Right } from "../../src/access/caller.ts";
import { makeToken, revokeTokens, type TokenRequest } from "../../src/access/token-store.ts";
import { routes } from "../../src/http/routes/all.ts";
import { createToken, digestOf } from "../../src/token.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { type Answer, type Exchange, exchange, expectError } from "../support/http/client.ts";
import { openSocket } from "../support/http/raw.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const url = await createTestDatabase();
const json = { "content-type": "application/json" };

async function tokenFor(client: string, right: Right, more: Partial<TokenRequest> = {}) {
  const request = { client, right, userIds: null, rate: null, lifetimeSeconds: null, ...more };
  return await makeToken(url, request, "os:test");
}

const reader = await tokenFor("support", "read");
const writer = await tokenFor("shop", "write");
const admin = await tokenFor("ops", "admin");
const trustedProxies = ["127.0.0.0/8"];
const { url: origin } = await serveInProcess(url, {}, { door: {}, trustedProxies });

afterEach(() => vi.restoreAllMocks());

let asking = 0;

async function ask(token: string | undefined, asked: Exchange): Promise<Answer> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  asking += 1;
  // Each from an address of its own: what is wrong ten times a minute is another matter.
  const from = { "x-forwarded-for": `10.0.${asking >> 8}.${asking & 255}` };
  return await exchange(origin, {
    ...asked,
    headers: { ...authorization, ...from, ...asked.headers },
  });
}

/** Servers look once a second. */
async function untilKnown(token: string, userId = 1): Promise<void> {
  const path = `/api/users/${userId}`;
  while ((await ask(token, { path })).status !== 200) await sleep(200);
}

const withdraw = (userId: number, amount: number, headers = {}): Exchange => ({
  method: "PUT",
  path: `/api/users/${userId}/balance`,
  headers: { ...json, ...headers },
  body: JSON.stringify({ amount }),
});

async function openUser(balance: number): Promise<number> {
  const body = JSON.stringify({ balance });
  const asked = { method: "POST", path: "/api/users", headers: json, body };
  const answer = await exchange<{ id: number }>(origin, {
    ...asked,
    headers: { ...json, authorization: `Bearer ${admin.text}` },
  });
  return answer.body.data?.id as number;
}

/** How each route is asked, without a body that would do anything. */
const examples: readonly [name: string, right: Right, asked: Exchange][] = routes
  .filter(({ scope }) => scope !== "public")
  .map(({ name, scope, method, path }) => [
    name,
    scope as Right,
    { method, path: path.replace(/:userId/, "1").replace(/:\w+/g, "k"), headers: json, body: "" },
  ]);

describe("scopes", () => {
  test.each(examples)("%s takes %s", async (_name, right, asked) => {
    const nobody = await ask(undefined, asked);
    expectError(
      nobody,
      "UNAUTHORIZED",
      "This server asks for a token: Authorization: Bearer bctl_...",
    );
    expect(nobody.headers.get("www-authenticate")).toBe('Bearer realm="balancectl"');
    for (const [has, token] of [
      ["read", reader],
      ["write", writer],
      ["admin", admin],
    ] as const) {
      const { status, body } = await ask(token.text, asked);
      const may =
        ["read", "write", "admin"].indexOf(has) >= ["read", "write", "admin"].indexOf(right);
      if (may) expect([401, 403]).not.toContain(status);
      else {
        const message = `This token may ${has}, and this takes one that may ${right}`;
        expect([status, body.error]).toEqual([403, { code: "FORBIDDEN", message }]);
      }
    }
  });

  test("what there is not, and what goes by another method, is told to nobody", async () => {
    for (const asked of [{ path: "/nothing" }, { method: "DELETE", path: "/api/users/1" }]) {
      expect((await ask(undefined, asked)).status).toBe(401);
      expect([404, 405]).toContain((await ask(reader.text, asked)).status);
    }
    expect((await ask(undefined, { path: "/healthz" })).status).toBe(200);
    expect((await ask(undefined, { path: "/readyz" })).status).toBe(200);
  });
});

describe("refused", () => {
  const whole = createToken().text;
  test.each([
    ["Basic dXNlcjpw", "Authorization must be Bearer and a token: Authorization: Bearer bctl_..."],
    ["Bearer", "Authorization must be Bearer and a token: Authorization: Bearer bctl_..."],
    ["Bearer a b", "Authorization must be Bearer and a token: Authorization: Bearer bctl_..."],
    [`Bearer ${whole}`, "This token is not known here, or was revoked"],
    [`bearer ${whole.slice(0, -1)}`, "This token was cut or mistyped: its checksum does not fit"],
    ["Bearer hunter2", "This token is not known here, or was revoked"],
  ])("%s", async (authorization, message) => {
    const { url: fresh } = await serveInProcess(url, {}, { door: {} });
    const answer = await exchange(fresh, { path: "/api/users/1", headers: { authorization } });
    expectError(answer, "UNAUTHORIZED", message);
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer realm="balancectl", error="/);
  });

  test("one that has expired", async () => {
    const { text } = await tokenFor("brief", "read", { lifetimeSeconds: 3_600 });
    await untilKnown(text);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3_600_001);
    expectError(
      await ask(text, { path: "/api/users/1" }),
      "UNAUTHORIZED",
      "This token has expired",
    );
  });

  test("before the body, and before anybody is told to go on with it", async () => {
    const socket = await openSocket(origin);
    socket.write(
      "PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        "Expect: 100-continue\r\nContent-Length: 13\r\n\r\n",
    );
    const seen = await new Promise<string>((resolve) =>
      socket.once("data", (text) => resolve(String(text))),
    );
    expect(seen).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
    const known = await openSocket(origin);
    known.write(
      "PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        `Authorization: Bearer ${writer.text}\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n`,
    );
    const goOn = await new Promise<string>((resolve) =>
      known.once("data", (text) => resolve(String(text))),
    );
    expect(goOn).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    known.write('{"amount":-2}');
    const answer = await new Promise<string>((resolve) =>
      known.once("data", (text) => resolve(String(text))),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    known.destroy();
  });

  test("an address that fails eleven times in a minute; who has a token goes on from it", async () => {
    const { url: fresh } = await serveInProcess(url, {}, { door: {} });
    const wrong = { authorization: `Bearer ${createToken().text}` };
    const fail = () => exchange(fresh, { path: "/api/users/1", headers: wrong });
    const seen = [];
    for (let attempt = 0; attempt < 11; attempt += 1) seen.push((await fail()).status);
    expect(seen).toEqual([...new Array(10).fill(401), 429]);
    const { headers } = await fail();
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(50);
    const authorization = `Bearer ${reader.text}`;
    const good = await exchange(fresh, { path: "/api/users/1", headers: { authorization } });
    expect(good.status).toBe(200);
    // Who shows none does not guess.
    expect((await exchange(fresh, { path: "/api/users/1" })).status).toBe(401);
  });

  test("addresses are told apart behind a proxy that is named, and no other", async () => {
    const trusting = await serveInProcess(url, {}, { door: {}, trustedProxies: ["127.0.0.0/8"] });
    const plain = await serveInProcess(url, {}, { door: {} });
    const statuses = async (server: string) => {
      const seen = new Set<number>();
      for (let attempt = 0; attempt < 12; attempt += 1) {
        const headers = {
          authorization: "Bearer wrong",
          "x-forwarded-for": `1.2.3.4, 10.0.0.${attempt}`,
        };
        seen.add((await exchange(server, { path: "/api/users/1", headers })).status);
      }
      return [...seen];
    };
    expect(await statuses(trusting.url)).toEqual([401]);
    expect(await statuses(plain.url)).toEqual([401, 429]);
  });

  test("a rate", async () => {
    const { text } = await tokenFor("slow", "read", { rate: 1 });
    await untilKnown(text);
    const { status, headers, body } = await ask(text, { path: "/api/users/1" });
    expect([status, body.error?.code]).toEqual([429, "RATE_LIMITED"]);
    expect(headers.get("retry-after")).toBe("1");
    expect(headers.get("ratelimit-policy")).toBe('"token";q=1;w=1');
  });
});

describe("a token for some users", async () => {
  const [mine, other] = [await openUser(100), await openUser(100)];
  const { text } = await tokenFor("kiosk", "write", { userIds: [mine] });
  await untilKnown(text, mine);
  const forbidden = {
    code: "FORBIDDEN",
    message: "This token is for some users, and this is about others",
  };
  const post = (path: string, body: unknown): Exchange => ({
    ...{ method: "POST", path, headers: json, body: JSON.stringify(body) },
  });

  test("does what is theirs, and may pay others", async () => {
    expect((await ask(text, withdraw(mine, -1))).status).toBe(200);
    const paid = await ask(text, post("/api/transfers", { from: mine, to: other, amount: 1 }));
    expect(paid.status).toBe(201);
    const { id } = paid.body.data as { id: string };
    expect((await ask(text, { path: `/api/transfers/${id}` })).status).toBe(200);
  });

  test.each<[string, Exchange]>([
    ["a balance", { path: `/api/users/${other}` }],
    ["a user that is not there", { path: "/api/users/999999" }],
    ["a journal", { path: `/api/users/${other}/entries` }],
    ["a withdrawal", withdraw(other, -1)],
    ["a transfer", post("/api/transfers", { from: other, to: mine, amount: 1 })],
    [
      "a leg of a batch",
      post("/api/transfers/batch", {
        transfers: [
          { from: mine, to: other, amount: 1 },
          { from: other, to: mine, amount: 1 },
        ],
      }),
    ],
    ["all users", { path: "/api/users" }],
    ["an opening", post("/api/users", {})],
    ["the key of an opening", { path: "/api/operations/k" }],
    ["a hold", post(`/api/users/${other}/holds`, { amount: 1 })],
  ])("is refused %s of others", async (_what, asked) => {
    const { status, body } = await ask(text, asked);
    expect([status, body.error]).toEqual([403, forbidden]);
  });

  test("does not see transfers among others", async () => {
    const third = await openUser(5);
    const asked = post("/api/transfers", { from: other, to: third, amount: 1 });
    const { id } = (await ask(admin.text, asked)).body.data as { id: string };
    const answer = await ask(text, { path: `/api/transfers/${id}` });
    expectError(answer, "TRANSFER_NOT_FOUND", "Transfer not found");
  });
});

describe("who did it", () => {
  test("stands on each entry, alone and in company, and can be asked for", async () => {
    const user = await openUser(100);
    await ask(writer.text, withdraw(user, -1));
    await Promise.all(
      [1, 2, 3].map(() =>
        ask(writer.text, withdraw(user, -1, { "idempotency-key": String(Math.random()) })),
      ),
    );
    await ask(admin.text, withdraw(user, -1));
    const path = `/api/users/${user}/entries?order=asc`;
    const actors = async (query = "") => {
      const { body } = await ask(reader.text, { path: path + query });
      return (body.data as { entries: { actor?: string }[] }).entries.map(({ actor }) => actor);
    };
    const [byWriter, byAdmin] = [`token:${writer.id}`, `token:${admin.id}`];
    expect(await actors()).toEqual([byAdmin, byWriter, byWriter, byWriter, byWriter, byAdmin]);
    expect(await actors(`&actor=${byAdmin}`)).toEqual([byAdmin, byAdmin]);
    expect(await actors("&actor=token:nobodyEl")).toEqual([]);
  });

  test("a key is one client's: of all its tokens, of no other, and admins may look", async () => {
    const user = await openUser(100);
    const again = await tokenFor("shop", "write");
    const rival = await tokenFor("rival", "write");
    for (const { text } of [again, rival]) {
      await untilKnown(text);
    }
    const asked = withdraw(user, -2, { "idempotency-key": "order-1" });
    const first = await ask(writer.text, asked);
    const rotated = await ask(again.text, asked);
    expect([rotated.status, rotated.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect(rotated.body).toEqual(first.body);
    const theirs = await ask(rival.text, asked);
    expect([theirs.status, theirs.body.error?.code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    expect((await ask(admin.text, asked)).headers.get("idempotent-replayed")).toBe("true");
    const look = { path: `/api/users/${user}/operations/order-1` };
    const seen = await Promise.all(
      [writer, again, rival, admin, reader].map(async ({ text }) => (await ask(text, look)).status),
    );
    // A reader that is another client sees no other's keys either.
    expect(seen).toEqual([200, 200, 404, 200, 404]);
  });

  test("twins of two clients are none", async () => {
    const user = await openUser(100);
    const rival = await tokenFor("rival", "write");
    await untilKnown(rival.text);
    const asked = withdraw(user, -2, { "idempotency-key": "order-2" });
    const both = await Promise.all([ask(writer.text, asked), ask(rival.text, asked)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 422]);
  });

  test("two clients that open a user under one key have two users", async () => {
    const rival = await tokenFor("rival", "write");
    await untilKnown(rival.text);
    const asked = {
      ...{ method: "POST", path: "/api/users", body: "{}" },
      headers: { ...json, "idempotency-key": "1" },
    };
    const ids = [];
    for (const { text } of [writer, rival, writer, rival]) {
      ids.push(((await ask(text, asked)).body.data as { id: number }).id);
    }
    expect(new Set(ids).size).toBe(2);
    expect([ids[2], ids[3]]).toEqual([ids[0], ids[1]]);
  });
});

describe("revoked", () => {
  test("nobody is let in by it any more within 5 s, on two servers; and the door stays closed", async () => {
    const url = await createTestDatabase();
    const request = {
      client: "c",
      right: "read",
      userIds: null,
      rate: null,
      lifetimeSeconds: null,
    } as const;
    const servers = await Promise.all([1, 2].map(() => serveInProcess(url, {}, { door: {} })));
    const status = async (server: { url: string }, headers: Record<string, string> = {}) =>
      (await exchange(server.url, { path: "/api/users/1", headers })).status;
    // Nothing was ever made: everybody on this machine is let in.
    expect(await Promise.all(servers.map((one) => status(one)))).toEqual([200, 200]);
    const { text, id } = await makeToken(url, request, "os:test");
    const headers = { authorization: `Bearer ${text}` };
    for (const server of servers) {
      await expect.poll(() => status(server), { timeout: 5_000 }).toBe(401);
      expect(await status(server, headers)).toBe(200);
    }
    const revoked = await revokeTokens(url, id, "os:test");
    expect(revoked.map((one) => one.id)).toEqual([id]);
    for (const server of servers) {
      await expect.poll(() => status(server, headers), { timeout: 5_000 }).toBe(401);
      expect(await status(server)).not.toBe(200);
    }
    const lines = await psql(
      url,
      "SELECT action, actor, details->>'token' AS token FROM audit ORDER BY id",
    );
    expect(lines.slice(-2)).toEqual([
      { action: "token.create", actor: "os:test", token: id },
      { action: "token.revoke", actor: "os:test", token: null },
    ]);
    await expect(psql(url, "DELETE FROM audit")).rejects.toThrow("append-only");
  });

  test("when the database has not been asked for 30 s nobody is, whatever they show", async () => {
    const now = performance.now();
    vi.spyOn(performance, "now").mockReturnValue(now + 31_000);
    const { status, body } = await ask(reader.text, { path: "/api/users/1" });
    expect([status, body.error?.code]).toEqual([503, "DATABASE_UNAVAILABLE"]);
  });
});

test("tokens of the settings close the door of their server, and are kept as digests", async () => {
  const url = await createTestDatabase();
  const secret = "from-the-environment".padEnd(40, "!");
  const tokens = [{ client: "box", scope: "write", digest: digestOf(secret) }] as const;
  const { url: server } = await serveInProcess(url, {}, { door: { tokens } });
  expect((await exchange(server, { path: "/api/users/1" })).status).toBe(401);
  const authorization = `Bearer ${secret}`;
  await exchange(server, { ...withdraw(1, -2), headers: { ...json, authorization } });
  const path = "/api/users/1/entries?limit=1";
  const { body } = await exchange<{ entries: { actor: string }[] }>(server, {
    path,
    headers: { authorization },
  });
  expect(body.data?.entries.map(({ actor }) => actor)).toEqual(["token:box"]);
});

test("no token is kept anywhere in the database", async () => {
  const rows = await psql(
    url,
    "SELECT to_jsonb(t)::text AS row FROM tokens t UNION ALL SELECT to_jsonb(a)::text FROM audit a",
  );
  const text = rows.map(({ row }) => row).join("\n");
  expect(text).toContain(reader.id);
  for (const token of [reader, writer, admin]) expect(text).not.toContain(token.text.slice(14, 57));
});
