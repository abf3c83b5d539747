/**
 * Holds that expire, by a clock that the test moves: nobody sleeps, and nothing happens on its own.
 * An expired hold is given back by whoever comes next, stamped with the time at which it was due.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { hold as holdOf } from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { createClock } from "../support/clock.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import { send } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const clock = createClock();
const server = await serveInProcess(databaseUrl, { now: clock.now });

let user = 1;
let startMs = 0;

beforeEach(async () => {
  startMs = clock.advance(3_600).getTime();
  const opened = await call<{ id: number }>("POST", "", { balance: 100 }, "/api/users");
  user = opened.data.id;
});

interface Hold {
  readonly id: string;
  readonly state: string;
  readonly balance: number;
}

/** Asks about the user of the test. */
async function call<T>(method: string, path: string, body?: object, base = `/api/users/${user}`) {
  const answer = await send<T>(server.url + base + path, method, body);
  const { status, headers } = answer;
  return { status, headers, data: answer.body.data as T, error: answer.body.error };
}

/** A hold that expires so many seconds after it was made; never without. */
async function hold(amount: number, expiresIn?: number): Promise<Hold> {
  const { status, data } = await call<Hold>("POST", "/holds", {
    amount,
    ...(expiresIn && { expiresIn }),
  });
  expect(status).toBe(201);
  return data;
}

const end = async (id: string, how: "capture" | "void", body?: object) =>
  await call<Hold>("POST", `/holds/${id}/${how}`, body);

/** The journal as kind, amount, balance and seconds since the test began; the opening left out. */
async function journal(): Promise<[string, number, number, number][]> {
  const rows = await psql(
    databaseUrl,
    `SELECT kind, amount, balance, created_at FROM entries
      WHERE user_id = $1 AND version > 1 ORDER BY version`,
    [user],
  );
  return rows.map(({ kind, amount, balance, created_at: at }) => {
    return [kind, Number(amount), Number(balance), (at.getTime() - startMs) / 1_000];
  });
}

/** What the tables have, without anybody having asked for the user. */
async function stored(): Promise<{ balance: number; held: number; version: number }> {
  const [row] = await psql(databaseUrl, "SELECT balance, held, version FROM users WHERE id = $1", [
    user,
  ]);
  return {
    balance: Number(row?.["balance"]),
    held: Number(row?.["held"]),
    version: Number(row?.["version"]),
  };
}

describe("between two writes", () => {
  test("a hold that expires is there for the next write, which finds the money again", async () => {
    await hold(80, 60);
    clock.advance(59);
    expect(await call("PUT", "/balance", { amount: -21 })).toMatchObject({ status: 422 });
    clock.advance(1);
    const { status, data, headers } = await call("PUT", "/balance", { amount: -100 });
    expect([status, data]).toEqual([
      200,
      { id: user, balance: 0, previousBalance: 100, amount: -100 },
    ]);
    expect(headers.get("etag")).toBe('"v4"');
    expect(await journal()).toEqual([
      ["hold", -80, 20, 0],
      ["expiry", 80, 100, 60],
      ["adjustment", -100, 0, 60],
    ]);
  });

  test("its entry has the time at which it was due, however late it is found", async () => {
    const { id } = await hold(80, 60);
    clock.advance(86_400);
    await call("PUT", "/balance", { amount: 1 });
    expect(await journal()).toEqual([
      ["hold", -80, 20, 0],
      ["expiry", 80, 100, 60],
      ["adjustment", 1, 101, 86_400],
    ]);
    const due = new Date(startMs + 60_000).toISOString();
    expect((await call("GET", `/holds/${id}`)).data).toEqual({
      ...{ id, userId: user, amount: 80, state: "expired" },
      ...{ expiresAt: due, createdAt: new Date(startMs).toISOString(), closedAt: due },
    });
  });

  test("a write that is refused gives it back all the same", async () => {
    await hold(80, 60);
    clock.advance(60);
    expect(await call("PUT", "/balance", { amount: -101 })).toMatchObject({ status: 422 });
    expect(await stored()).toEqual({ balance: 100, held: 0, version: 3 });
  });

  test("a transfer gives back what is due on both sides", async () => {
    const payee = user;
    await hold(40, 10);
    const opened = await call<{ id: number }>("POST", "", { balance: 50 }, "/api/users");
    user = opened.data.id;
    await hold(50, 20);
    clock.advance(20);
    const body = { from: user, to: payee, amount: 45 };
    expect(await call("POST", "", body, "/api/transfers")).toMatchObject({
      status: 201,
      data: { balance: 5 },
    });
    expect(await stored()).toEqual({ balance: 5, held: 0, version: 4 });
    user = payee;
    expect(await stored()).toEqual({ balance: 145, held: 0, version: 4 });
    expect((await journal()).map(([kind, , , at]) => [kind, at])).toEqual([
      ["hold", 0],
      ["expiry", 10],
      ["transfer", 20],
    ]);
  });

  test("several that are due go back in the order in which they were due", async () => {
    const third = await hold(3, 30);
    await hold(1, 10);
    await hold(7, 50);
    await hold(2, 20);
    await hold(40);
    clock.advance(30);
    expect((await call("GET", "")).data).toEqual({ id: user, balance: 53 });
    expect((await journal()).slice(5)).toEqual([
      ["expiry", 1, 48, 10],
      ["expiry", 2, 50, 20],
      ["expiry", 3, 53, 30],
    ]);
    const [row] = await psql(
      databaseUrl,
      "SELECT next_expiry_at AS next FROM users WHERE id = $1",
      [user],
    );
    expect(row?.["next"].getTime()).toBe(startMs + 50_000);
    expect((await end(third.id, "void")).error).toEqual({
      code: "HOLD_CLOSED",
      message: "The hold is expired",
      details: { state: "expired" },
    });
  });

  test("the limit of a balance counts what may come back, and no longer once it has", async () => {
    const { balance } = await hold(100, 10);
    expect(balance).toBe(0);
    const most = Number.MAX_SAFE_INTEGER;
    const over = await call("PUT", "/balance", { amount: most - 99 });
    expect(over.error?.code).toBe("BALANCE_LIMIT_EXCEEDED");
    clock.advance(10);
    await call("PUT", "/balance", { amount: -100 });
    expect((await call("PUT", "/balance", { amount: most })).data).toMatchObject({ balance: most });
  });
});

describe("nobody sees an expired hold counted", () => {
  const reads: [
    what: string,
    path: (id: string) => string,
    seen: (data: never) => unknown,
    expected: unknown,
  ][] = [
    ["the user", () => "", ({ balance }: { balance: number }) => balance, 100],
    [
      "the entries",
      () => "/entries?limit=1",
      ({ entries: [last] }: { entries: { kind: string; balance: number }[] }) => [
        last?.kind,
        last?.balance,
      ],
      ["expiry", 100],
    ],
    ["the hold", (id) => `/holds/${id}`, ({ state }: Hold) => state, "expired"],
    [
      "the list of holds",
      () => "/holds",
      ({ holds }: { holds: Hold[] }) => holds.map(({ state }) => state),
      ["expired"],
    ],
    [
      "the balance at the moment it was due",
      () => `?at=${new Date(startMs + 60_000).toISOString()}`,
      ({ balance }: { balance: number }) => balance,
      100,
    ],
    [
      "the balance just before that",
      () => `?at=${new Date(startMs + 59_999).toISOString()}`,
      ({ balance }: { balance: number }) => balance,
      20,
    ],
  ];

  test.each(reads)("%s", async (_what, path, seen, expected) => {
    const { id } = await hold(80, 60);
    clock.advance(60);
    const { status, data } = await call("GET", path(id));
    expect(status).toBe(200);
    expect(seen(data as never)).toEqual(expected);
    expect(await stored()).toEqual({ balance: 100, held: 0, version: 3 });
  });

  test("the list of users", async () => {
    await hold(80, 60);
    clock.advance(60);
    const { data } = await call<{ users: object[] }>("GET", "", undefined, "/api/users?limit=1000");
    expect(data.users).toContainEqual({
      ...{ id: user, balance: 100, held: 0, version: 3 },
      createdAt: new Date(startMs).toISOString(),
      updatedAt: new Date(startMs + 60_000).toISOString(),
    });
    expect(await stored()).toEqual({ balance: 100, held: 0, version: 3 });
  });

  test("a moment before it is due it counts, and reading changes nothing", async () => {
    const { id } = await hold(80, 60);
    clock.advance(59.999);
    expect((await call("GET", "")).data).toEqual({ id: user, balance: 20 });
    expect((await call<Hold>("GET", `/holds/${id}`)).data.state).toBe("open");
    expect(await stored()).toEqual({ balance: 20, held: 80, version: 2 });
  });

  test("If-Match knows the version that giving back makes", async () => {
    await hold(80, 60);
    clock.advance(60);
    const ask = async (tag: string) =>
      (
        await send(
          `${server.url}/api/users/${user}/balance`,
          "PUT",
          { amount: 1 },
          { "If-Match": tag },
        )
      ).status;
    expect(await ask('"v2"')).toBe(412);
    expect(await ask('"v3"')).toBe(200);
  });

  test("an answer that is given again is the old one, from before the hold was due", async () => {
    const ask = async () =>
      await send(
        `${server.url}/api/users/${user}/balance`,
        "PUT",
        { amount: 1 },
        { "Idempotency-Key": "k" },
      );
    await hold(80, 60);
    const first = await ask();
    clock.advance(60);
    const again = await ask();
    expect([again.body, again.headers.get("idempotent-replayed")]).toEqual([first.body, "true"]);
    expect(await stored()).toEqual({ balance: 101, held: 0, version: 4 });
  });
});

describe("expiry against capture and void", () => {
  test.each(["capture", "void"] as const)(
    "a %s in time ends it, and it does not expire after that",
    async (how) => {
      const { id } = await hold(80, 60);
      clock.advance(59.999);
      expect((await end(id, how)).status).toBe(200);
      clock.advance(3_600);
      const left = how === "capture" ? 20 : 100;
      expect((await call("GET", "")).data).toEqual({ id: user, balance: left });
      expect((await journal()).map(([kind]) => kind)).not.toContain("expiry");
    },
  );

  test.each(["capture", "void"] as const)(
    "a %s at the moment it is due comes too late",
    async (how) => {
      const { id } = await hold(80, 60);
      clock.advance(60);
      const { status, error } = await end(id, how);
      expect([status, error]).toEqual([
        409,
        { code: "HOLD_CLOSED", message: "The hold is expired", details: { state: "expired" } },
      ]);
      expect((await call("GET", "")).data).toEqual({ id: user, balance: 100 });
    },
  );

  test("100 captures race the clock: each hold ends once, before or after", async () => {
    const holds: Hold[] = [];
    for (let index = 0; index < 100; index++) holds.push(await hold(1, 60));
    clock.advance(59);
    const answers: Awaited<ReturnType<typeof end>>[] = [];
    const captureEach = async () => {
      for (let next = holds.pop(); next !== undefined; next = holds.pop()) {
        const [answer] = await Promise.all([end(next.id, "capture"), call("GET", "")]);
        answers.push(answer);
        // The clock strikes while others are on their way.
        if (answers.length === 50) clock.advance(1);
      }
    };
    await Promise.all(Array.from({ length: 10 }, captureEach));
    const captured = answers.filter(({ status }) => status === 200).length;
    const late = answers.filter(({ error }) => error?.message === "The hold is expired").length;
    expect([captured + late, captured >= 50, late > 0]).toEqual([100, true, true]);
    expect(await stored()).toEqual({
      ...{ balance: 100 - captured, held: 0 },
      version: 101 + captured * 2 + late,
    });
    const states = await psql(
      databaseUrl,
      "SELECT state, count(*)::int AS count FROM holds WHERE user_id = $1 GROUP BY state",
      [user],
    );
    const counts = Object.fromEntries(states.map(({ state, count }) => [state, count]));
    expect([counts["captured"] ?? 0, counts["expired"] ?? 0]).toEqual([captured, late]);
  });
});

test("everything that the tests above have left is in order", async () => {
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
});

test("a page of users with holds that are due gives them back together, and is right", async () => {
  const url = await createTestDatabase();
  const start = new Date("2026-01-31T12:00:00Z");
  let now = start;
  const batches: number[] = [];
  const { ledger } = openTestLedger(url, {
    now: () => now,
    observers: [{ batchCommitted: ({ operations }) => batches.push(operations) }],
  });
  const ids = Array.from({ length: 400 }, (_, n) => n + 2);
  await Promise.all(ids.map((id) => ledger.openUser({ id, balance: 100 })));
  // Of every second one.
  await Promise.all(ids.filter((id) => id % 2 === 0).map((id) => ledger.apply(holdOf(id, 40, 60))));
  now = new Date(start.getTime() + 60_000);
  batches.length = 0;
  const users = await ledger.users(1, 1_000);
  expect(users.map(({ id, balance, held }) => [id, balance, held])).toEqual(
    ids.map((id) => [id, 100, 0]),
  );
  expect(Object.keys(users[0] ?? {})).not.toContain("due");
  expect(batches.reduce((sum, count) => sum + count, 0)).toBe(200);
  expect(batches.length).toBeLessThanOrEqual(8);
});
