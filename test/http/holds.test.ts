/** Holds over HTTP: authorize, capture, void; each ends once. Expiry: test/ledger/expiry.test.ts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { createApiClient, expectError, unknownUuid, uuidV7Shape } from "../support/http/client.ts";
import { journalFindings } from "../support/oracle/journal.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
const server = await serveInProcess(databaseUrl);
const api = createApiClient(server.url);

const max = Number.MAX_SAFE_INTEGER;
const nobody = 1_234_567_890_123;
const insufficient = "Insufficient funds for this operation";
let user = 0;
let payee = 0;

beforeEach(async () => {
  user = await api.openUser(100);
  payee = await api.openUser(0);
});
afterEach(async () => {
  expect(await journalFindings(databaseUrl)).toEqual([]);
});

interface Hold {
  readonly id: string;
  readonly state: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly closedAt?: string;
}

const holdsOf = (userId = user) => `/api/users/${userId}/holds`;

async function hold(amount: number, more: object = {}): Promise<string> {
  const { body } = await api.post<Hold>(holdsOf(), { amount, ...more });
  return body.data?.id as string;
}

const end = (id: string, how: "capture" | "void", body?: object, userId = user) =>
  api.post<Hold>(`${holdsOf(userId)}/${id}/${how}`, body);

describe("a hold", () => {
  test("takes its amount out of what can be spent, and says where it is", async () => {
    const { status, headers, body } = await api.post<Hold>(holdsOf(), {
      ...{ amount: 40, expiresIn: 3_600 },
      ...{ reference: "room 12", metadata: { nights: 2 } },
    });
    const { id, createdAt, expiresAt } = body.data as Hold;
    expect(id).toMatch(uuidV7Shape);
    expect([status, headers.get("location"), body.data]).toEqual([
      201,
      `${holdsOf()}/${id}`,
      { id, userId: user, amount: 40, state: "open", expiresAt, createdAt, balance: 60 },
    ]);
    expect(Date.parse(expiresAt as string) - Date.parse(createdAt)).toBe(3_600_000);
    expect(await api.entriesOf(user)).toEqual([
      {
        ...{ version: 2, amount: -40, balance: 60, kind: "hold", holdId: id },
        ...{ reference: "room 12", metadata: { nights: 2 }, createdAt },
      },
    ]);
    const shown = await api.get<Hold>(`${holdsOf()}/${id.toUpperCase()}`);
    expect(shown.body.data).toEqual({
      id,
      userId: user,
      amount: 40,
      state: "open",
      expiresAt,
      createdAt,
    });
    const { body: list } = await api.get<{ users: object[] }>("/api/users?limit=1000");
    expect(list.data?.users).toContainEqual(
      expect.objectContaining({ id: user, balance: 60, held: 40, version: 2 }),
    );
  });

  test("without a time limit has none", async () => {
    const id = await hold(100);
    const { body } = await api.get<Hold>(`${holdsOf()}/${id}`);
    expect(Object.keys(body.data ?? {}).sort()).toEqual([
      "amount",
      "createdAt",
      "id",
      "state",
      "userId",
    ]);
  });

  test("lives from a second to ten years", async () => {
    for (const expiresIn of [1, 315_360_000]) {
      const { status, body } = await api.post<Hold>(holdsOf(), { amount: 1, expiresIn });
      const { createdAt, expiresAt } = body.data as Hold;
      const lives = Date.parse(expiresAt as string) - Date.parse(createdAt);
      expect([status, lives]).toEqual([201, expiresIn * 1_000]);
    }
  });

  test("is refused when there is not enough, or no such user", async () => {
    await hold(60);
    const before = await tables.fingerprint();
    expectError(await api.post(holdsOf(), { amount: 41 }), "INSUFFICIENT_FUNDS", insufficient);
    expectError(
      await api.post(holdsOf(nobody), { amount: 1 }),
      "USER_NOT_FOUND",
      `User ${nobody} not found`,
    );
    expect(await tables.fingerprint()).toBe(before);
    const transfer = { from: user, to: payee, amount: 41 };
    expectError(await api.post("/api/transfers", transfer), "INSUFFICIENT_FUNDS", insufficient);
  });
});

describe("a capture", () => {
  test("of everything, with and without a body", async () => {
    for (const body of [undefined, {}, { amount: 30 }]) {
      const id = await hold(30);
      const { status, body: answer } = await end(id, "capture", body);
      expect([status, answer.data]).toMatchObject([
        200,
        { id, userId: user, state: "captured", amount: 30, captured: 30, released: 0 },
      ]);
    }
    expect(await api.balanceOf(user)).toBe(10);
  });

  test("of a part gives the rest back", async () => {
    const id = await hold(40, { expiresIn: 60 });
    const { status, body } = await end(id, "capture", {
      amount: 25,
      reference: "bill",
      metadata: { a: 1 },
    });
    const [, release, capture] = await api.entriesOf(user);
    const context = {
      holdId: id,
      reference: "bill",
      metadata: { a: 1 },
      createdAt: capture?.createdAt,
    };
    expect(release).toEqual({ version: 3, amount: 40, balance: 100, kind: "release", ...context });
    expect(capture).toEqual({ version: 4, amount: -25, balance: 75, kind: "capture", ...context });
    const shown = await api.get<Hold>(`${holdsOf()}/${id}`);
    const { expiresAt, createdAt } = shown.body.data as Hold;
    expect(shown.body.data).toEqual({
      ...{ id, userId: user, amount: 40, state: "captured", captured: 25 },
      ...{ expiresAt, createdAt, closedAt: capture?.createdAt },
    });
    // One shape, here and there.
    const ended = { ...(shown.body.data as Hold), released: 15, balance: 75 };
    expect([status, body.data]).toEqual([200, ended]);
  });

  test("answered again under its key, shows the hold as it ended", async () => {
    const id = await hold(40);
    const headers = { "idempotency-key": "once" };
    const path = `${holdsOf()}/${id}/capture`;
    const first = await api.post(path, { amount: 25 }, headers);
    const again = await api.post(path, { amount: 25 }, headers);
    expect([first.status, again.status, again.body]).toEqual([200, 200, first.body]);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
  });

  test("pays another user, who sees which hold it came from", async () => {
    const id = await hold(40);
    const { status, body } = await end(id, "capture", { amount: 25, to: payee });
    const { body: shown } = await api.get<Hold>(`${holdsOf()}/${id}`);
    expect([status, body.data]).toEqual([
      200,
      { ...(shown.data as Hold), released: 15, to: payee, balance: 75 },
    ]);
    expect(shown.data).toMatchObject({ state: "captured", amount: 40, captured: 25 });
    expect(await api.entriesOf(payee)).toEqual([
      expect.objectContaining({ version: 1, amount: 25, balance: 25, kind: "capture", holdId: id }),
    ]);
  });

  test("is refused above the hold, for nobody, and above the other's limit; the hold stays open", async () => {
    const full = await api.openUser(max);
    const id = await hold(40);
    const before = await tables.fingerprint();
    const tooMuch = "The capture is larger than the hold";
    expectError(await end(id, "capture", { amount: 41 }), "CAPTURE_EXCEEDS_HOLD", tooMuch);
    expectError(
      await end(id, "capture", { amount: 41, to: full }),
      "CAPTURE_EXCEEDS_HOLD",
      tooMuch,
    );
    expectError(
      await end(id, "capture", { to: nobody }),
      "USER_NOT_FOUND",
      `User ${nobody} (to) not found`,
    );
    expectError(
      await end(id, "capture", { to: full }),
      "BALANCE_LIMIT_EXCEEDED",
      "The balance would exceed 9007199254740991",
    );
    const own = "to must not be the user who pays; void the hold to give the money back";
    expectError(await end(id, "capture", { to: user }), "INVALID_REQUEST", own);
    expect(await tables.fingerprint()).toBe(before);
    expect((await end(id, "capture", { to: payee })).status).toBe(200);
  });
});

describe("a void", () => {
  test("gives everything back", async () => {
    const id = await hold(40);
    const { status, body } = await end(id, "void", {
      reference: "cancelled",
      metadata: { by: "us" },
    });
    const { body: shown } = await api.get<Hold>(`${holdsOf()}/${id}`);
    expect([status, body.data]).toEqual([
      200,
      { ...(shown.data as Hold), released: 40, balance: 100 },
    ]);
    expect(shown.data).toMatchObject({ state: "voided", amount: 40 });
    const [, entry] = await api.entriesOf(user);
    const context = { reference: "cancelled", metadata: { by: "us" }, createdAt: entry?.createdAt };
    expect(entry).toEqual({
      version: 3,
      amount: 40,
      balance: 100,
      kind: "void",
      holdId: id,
      ...context,
    });
  });

  test("with and without a body", async () => {
    for (const body of [undefined, {}]) {
      expect((await end(await hold(1), "void", body)).status).toBe(200);
    }
  });
});

describe("a hold ends once", () => {
  test.each([
    ["captured", "capture"],
    ["voided", "void"],
  ] as const)("one that is %s", async (state, first) => {
    const id = await hold(40);
    await end(id, first);
    const before = await tables.fingerprint();
    for (const second of ["capture", "void"] as const) {
      expectError(await end(id, second), "HOLD_CLOSED", `The hold is ${state}`);
    }
    expectError(await end(id, "capture", { amount: 41 }), "HOLD_CLOSED", `The hold is ${state}`);
    expect(await tables.fingerprint()).toBe(before);
  });

  test("under a key the answer of the end is given again, and that of the second try too", async () => {
    const id = await hold(40);
    const ask = async (how: "capture" | "void", key: string, body?: object) =>
      await api.post<Hold>(`${holdsOf()}/${id}/${how}`, body, { "Idempotency-Key": key });
    const first = await ask("capture", "c", { amount: 10 });
    const again = await ask("capture", "c", { amount: 10 });
    expect([again.status, again.body, again.headers.get("idempotent-replayed")]).toEqual([
      200,
      first.body,
      "true",
    ]);
    const reused = "This Idempotency-Key was used before with a different request";
    expectError(await ask("capture", "c", { amount: 11 }), "IDEMPOTENCY_KEY_REUSED", reused);
    expectError(await ask("void", "c"), "IDEMPOTENCY_KEY_REUSED", reused);
    for (const replayed of [null, "true"]) {
      const late = await ask("void", "v");
      expectError(late, "HOLD_CLOSED", "The hold is captured");
      expect(late.headers.get("idempotent-replayed")).toBe(replayed);
    }
  });

  test("making one under a key makes one, also when it has ended since", async () => {
    const key = { "Idempotency-Key": "h" };
    const first = await api.post<Hold>(holdsOf(), { amount: 40, expiresIn: 60 }, key);
    await end(first.body.data?.id as string, "void");
    const again = await api.post<Hold>(holdsOf(), { amount: 40, expiresIn: 60 }, key);
    expect([again.status, again.body, again.headers.get("location")]).toEqual([
      201,
      first.body,
      first.headers.get("location"),
    ]);
    expect(await api.balanceOf(user)).toBe(100);
  });
});

describe("whose hold it is", () => {
  test("a hold that is not there, or another user's, is not found", async () => {
    const id = await hold(40);
    const before = await tables.fingerprint();
    const missing = "Hold not found";
    for (const [owner, which] of [
      [user, unknownUuid],
      [payee, id],
    ] as const) {
      expectError(await api.get(`${holdsOf(owner)}/${which}`), "HOLD_NOT_FOUND", missing);
      expectError(await end(which, "capture", { amount: 1 }, owner), "HOLD_NOT_FOUND", missing);
      expectError(await end(which, "void", {}, owner), "HOLD_NOT_FOUND", missing);
    }
    const gone = `User ${nobody} not found`;
    expectError(await api.get(holdsOf(nobody)), "USER_NOT_FOUND", gone);
    expectError(await api.get(`${holdsOf(nobody)}/${id}`), "USER_NOT_FOUND", gone);
    expectError(await end(id, "capture", {}, nobody), "USER_NOT_FOUND", gone);
    expectError(await end(id, "void", {}, nobody), "USER_NOT_FOUND", gone);
    expect(await tables.fingerprint()).toBe(before);
  });

  test("an id that is no UUID is refused, and other methods are told what is possible", async () => {
    for (const path of ["7", "7/capture", "7/void"]) {
      const method = path === "7" ? api.get : api.post;
      expectError(
        await method(`${holdsOf()}/${path}`),
        "INVALID_REQUEST",
        'path: holdId must be a UUID (it is "7")',
      );
    }
    for (const [path, allow] of [
      ["", "GET, HEAD, POST"],
      [`/${unknownUuid}`, "GET, HEAD"],
      [`/${unknownUuid}/capture`, "POST"],
      [`/${unknownUuid}/void`, "POST"],
    ]) {
      const { status, headers } = await api.put(holdsOf() + path, {});
      expect([path, status, headers.get("allow")]).toEqual([path, 405, allow]);
    }
  });
});

describe("bad input is refused at the edge: what is wrong is named, and nothing is stored", () => {
  const whole = (it: string) => `must be a whole number from 1 to ${max} (it is ${it})`;
  const seconds = (it: string) =>
    `expiresIn must be a whole number of seconds from 1 to 315360000 (it is ${it})`;
  const missing = `amount is missing: it must be a whole number from 1 to ${max}`;

  test.each<[what: string, path: string, body: unknown, message: string]>([
    ["a hold of zero", "", { amount: 0 }, `amount ${whole("0")}`],
    ["a negative hold", "", { amount: -1 }, `amount ${whole("-1")}`],
    ["a fraction", "", { amount: 1.5 }, `amount ${whole("1.5")}`],
    ["too much", "", { amount: 2 ** 53 }, `amount ${whole("9007199254740992")}`],
    ["no amount", "", {}, missing],
    ["null", "", { amount: null }, `amount ${whole("null")}`],
    ["to expire at once", "", { amount: 1, expiresIn: 0 }, seconds("0")],
    ["to have expired", "", { amount: 1, expiresIn: -1 }, seconds("-1")],
    ["half a second", "", { amount: 1, expiresIn: 0.5 }, seconds("0.5")],
    ["more than ten years", "", { amount: 1, expiresIn: 315_360_001 }, seconds("315360001")],
    ["a time in words", "", { amount: 1, expiresIn: "1h" }, seconds('"1h"')],
    ["a payee of a hold", "", { amount: 1, to: 1 }, 'body has no field "to"'],
    ["a list", "", [], "body must be a JSON object (it is an array)"],
    ["a capture of zero", "/capture", { amount: 0 }, `amount ${whole("0")}`],
    ["a negative capture", "/capture", { amount: -1 }, `amount ${whole("-1")}`],
    ["a capture for user 0", "/capture", { to: 0 }, `to ${whole("0")}`],
    ["a capture for a name", "/capture", { to: "1" }, `to ${whole('"1"')}`],
    ["a capture that expires", "/capture", { expiresIn: 1 }, 'body has no field "expiresIn"'],
    ["a part of a void", "/void", { amount: 1 }, 'body has no field "amount"'],
    ["a floor under a void", "/void", { minBalance: 1 }, 'body has no field "minBalance"'],
  ])("%s", async (_what, path, body, message) => {
    const id = await hold(10);
    const before = await tables.fingerprint();
    const whole = path === "" ? holdsOf() : `${holdsOf()}/${id}${path}`;
    const answer = await api.post(whole, body, { "Idempotency-Key": "bad" });
    expectError(answer, "INVALID_REQUEST", message);
    expect(await tables.fingerprint()).toBe(before);
  });
});
