/** The client's methods, on the real server: each route has one, and each gives what the contract says. */
import { expect, test } from "vitest";
import { BalanceClient } from "../../src/client/balance-client.ts";
import { routes } from "../../src/http/routes/all.ts";
import { parseSettingTokens } from "../../src/token.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const server = await serveInProcess(await createTestDatabase());

const asked: string[] = [];
const answers: unknown[] = [];
const client = new BalanceClient({
  url: new URL(server.url),
  fetch: async (url, init) => {
    const response = await fetch(url, init);
    asked.push(`${init.method} ${new URL(url).pathname}`);
    answers.push({ status: response.status, body: await response.clone().json() });
    return response;
  },
});

/** By the name of its route, a call of each. */
const calls: Readonly<Record<string, () => Promise<unknown>>> = {
  "balance.adjust": () => client.adjust(1, -2),
  "user.open": () => client.openUser({ balance: 5 }),
  "user.list": () => client.listUsers().page(),
  "user.get": () => client.getUser(1),
  "transfer.make": async () => client.transfer({ from: 1, to: await otherUser(), amount: 1 }),
  "transfer.batch": async () =>
    client.transferBatch([{ from: 1, to: await otherUser(), amount: 1 }]),
  "transfer.get": async () => client.getTransfer((await madeTransfer()).id),
  "hold.make": () => client.hold(1, 3),
  "hold.list": () => client.listHolds(1).page(),
  "hold.get": async () => client.getHold(1, (await client.hold(1, 1)).id),
  "hold.capture": async () => client.captureHold(1, (await client.hold(1, 1)).id),
  "hold.void": async () => client.voidHold(1, (await client.hold(1, 1)).id),
  "entry.list": () => client.listEntries(1).page(),
  "operation.get": async () => {
    const { idempotencyKey } = await client.adjust(1, -1, { idempotencyKey: "a/b?c" });
    return client.getOperation(1, idempotencyKey);
  },
  "opening.get": async () => client.getOpening((await client.openUser()).idempotencyKey),
  "health.get": () => client.health(),
  "readiness.get": () => client.readiness(),
};

async function otherUser(): Promise<number> {
  return (await client.openUser()).id;
}

async function madeTransfer() {
  return await client.transfer({ from: 1, to: await otherUser(), amount: 1 });
}

/** Documents and pages: nothing that a program calls. */
const notForPrograms = routes.flatMap((route) => (route.document ? [route.name] : []));

test("every route has a method, and no other", () => {
  const names = routes.map(({ name }) => name).filter((name) => !notForPrograms.includes(name));
  expect(Object.keys(calls).toSorted()).toEqual(names.toSorted());
});

test.each(routes.filter(({ name }) => name in calls))(
  "$name asks for $method $path, and gives what its contract says",
  async (route) => {
    const given = await calls[route.name]?.();
    const pattern = route.path.replace(/:\w+/g, "[^/]+");
    expect(asked.at(-1)).toMatch(new RegExp(`^${route.method} ${pattern}$`));
    const answer = answers.at(-1) as { status: number; body: { data: Record<string, unknown> } };
    const schema = route.answers[answer.status];
    expect(schema?.parse(answer.body.data)).toEqual(answer.body.data);
    const { users, holds, entries } = answer.body.data;
    const items = [users, holds, entries].find(Array.isArray);
    if (items === undefined) expect(given).toMatchObject(answer.body.data);
    else expect(given).toEqual({ items, nextCursor: answer.body.data["nextCursor"] });
  },
);

test("a change tells its key, whether it is a replay, and the user's version", async () => {
  const { id } = await client.openUser({ balance: 100 });
  const first = await client.adjust(id, -30, { reference: "lunch", metadata: { table: 4 } });
  expect(first).toEqual({
    ...{ id, balance: 70, previousBalance: 100, amount: -30, version: 2, replayed: false },
    idempotencyKey: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-/),
  });
  const { idempotencyKey } = first;
  const again = await client.adjust(id, -30, {
    ...{ idempotencyKey, reference: "lunch", metadata: { table: 4 } },
  });
  expect(again).toEqual({ ...first, replayed: true });
  expect(await client.getUser(id)).toEqual({ id, balance: 70, version: 2 });
  const entries = [];
  for await (const { amount, reference } of client.listEntries(id)) {
    entries.push({ amount, reference });
  }
  expect(entries).toEqual([{ amount: -30, reference: "lunch" }, { amount: 100 }]);
});

test("each call has a key of its own", async () => {
  const { id } = await client.openUser({ balance: 10 });
  const made = await Promise.all([1, 2, 3].map(() => client.adjust(id, -1)));
  expect(new Set(made.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
  expect((await client.getUser(id)).balance).toBe(7);
});

test("conditions: ifVersion and minBalance", async () => {
  const { id } = await client.openUser({ balance: 10 });
  const { version } = await client.getUser(id);
  await client.adjust(id, -1, { ifVersion: version });
  await expect(client.adjust(id, -1, { ifVersion: version })).rejects.toMatchObject({
    ...{ name: "BalanceError", code: "PRECONDITION_FAILED", status: 412, applied: "no", tries: 1 },
  });
  await expect(client.adjust(id, -5, { minBalance: 5 })).rejects.toMatchObject({
    ...{ code: "INSUFFICIENT_FUNDS", status: 422, applied: "no" },
  });
  expect((await client.getUser(id)).balance).toBe(9);
});

test("a hold with a lifetime, captured in part and paid to another", async () => {
  const [payer, payee] = [await client.openUser({ balance: 50 }), await client.openUser()];
  const { id, balance, expiresAt = "" } = await client.hold(payer.id, 40, { expiresIn: 60 });
  expect(balance).toBe(10);
  expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
  const closed = await client.captureHold(payer.id, id, { amount: 30, to: payee.id });
  expect(closed).toMatchObject({ state: "captured", captured: 30, released: 10, balance: 20 });
  expect(await client.getUser(payee.id)).toMatchObject({ balance: 30 });
  await expect(client.voidHold(payer.id, id)).rejects.toMatchObject({ code: "HOLD_CLOSED" });
});

test("the balance at a moment, given as a Date or as text", async () => {
  const { id } = await client.openUser({ balance: 10 });
  const [opening] = (await client.listEntries(id).page()).items;
  // What is shown is cut to milliseconds.
  const after = new Date(Date.parse(opening?.createdAt as string) + 1);
  for (const at of [after, after.toISOString()]) {
    expect(await client.getUserAt(id, at)).toEqual({ id, balance: 10, at: after.toISOString() });
  }
  await expect(client.getUserAt(id, new Date(0))).rejects.toMatchObject({ code: "USER_NOT_FOUND" });
});

test("lists are read page by page, as far as somebody iterates, and go on at a cursor", async () => {
  const { id } = await client.openUser({ balance: 1_000 });
  for (let i = 1; i <= 6; i++) await client.adjust(id, -i);
  const before = asked.length;
  const seen: number[] = [];
  const list = client.listEntries(id, { pageSize: 3, order: "asc" });
  for await (const { version } of list) {
    seen.push(version);
    if (version === 4) break;
  }
  expect([seen, asked.length - before]).toEqual([[1, 2, 3, 4], 2]);

  const { nextCursor } = await list.page();
  const rest: number[][] = [];
  const cursor = nextCursor as string;
  for await (const page of client.listEntries(id, { pageSize: 3, cursor }).pages()) {
    rest.push(page.items.map(({ version }) => version));
  }
  expect(rest).toEqual([[4, 5, 6], [7]]);

  const none = client.listEntries(id, { to: new Date(0), order: "asc" });
  expect(await none.page()).toEqual({ items: [], nextCursor: null });
  const all = client.listEntries(id, { from: new Date(0), to: new Date(Date.now() + 1_000) });
  expect((await all.page()).items).toHaveLength(7);
});

test("tokens: none, one that may not, and one that may", async () => {
  const [read, write] = ["r".repeat(40), "w".repeat(40)];
  const tokens = parseSettingTokens(`viewer:read:${read},shop:write:${write}`);
  const closed = await serveInProcess(await createTestDatabase(), {}, { door: { tokens } });
  const at = (token?: string) => new BalanceClient({ url: closed.url, token });
  await expect(at().adjust(1, -2)).rejects.toMatchObject({
    ...{ code: "UNAUTHORIZED", status: 401, applied: "no", tries: 1 },
  });
  await expect(at(read).adjust(1, -2)).rejects.toMatchObject({ code: "FORBIDDEN", status: 403 });
  expect(await at(write).adjust(1, -2)).toMatchObject({ balance: 9_998 });
  const [entry] = (await at(read).listEntries(1).page()).items;
  const { actor } = entry ?? {};
  expect(actor).toMatch(/shop/);
  expect((await at(read).listEntries(1, { actor }).page()).items).toEqual([entry]);
});

test("no part of a path leads elsewhere", async () => {
  await expect(client.getOperation(1, "..")).rejects.toThrow(TypeError);
  await expect(client.getOperation(1, "a/../b")).rejects.toMatchObject({
    ...{ code: "OPERATION_NOT_FOUND", status: 404 },
  });
  await expect(client.getHold(1, "?x")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
});
