/** Under fire, through two server processes: money moves, and none is made or lost. */
import { afterAll, describe, expect, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { patient } from "../support/database/locked-user.ts";
import { runHotPair } from "../support/http/hot-pair.ts";
import { type ApiCall, type ApiReply, count, openApiLoad } from "../support/http/load.ts";
import { journalFindings } from "../support/oracle/journal.ts";
import { moneyOf } from "../support/oracle/money.ts";
import { createRandom } from "../support/random.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

interface Pair {
  readonly databaseUrl: string;
  readonly servers: readonly RunningServer[];
  readonly urls: readonly string[];
}

/** Two server processes on one database of their own. */
async function startPair(): Promise<Pair> {
  const databaseUrl = await createTestDatabase();
  // On a machine that stalls, one waits for the other's locks for longer than usual.
  const env = { DATABASE_URL: databaseUrl, ...patient };
  // One after the other: the first makes the connections that the second finds.
  const servers = [await startServer(env), await startServer(env)];
  return { databaseUrl, servers, urls: servers.map(({ url }) => url) };
}

async function openUsers({ urls }: Pair, count: number, balance: number): Promise<number[]> {
  const load = openApiLoad(urls, 10);
  const calls = Array.from({ length: count }, () => ({ path: "/api/users", body: { balance } }));
  const replies = await load.all<{ id: number }>(calls);
  await load.close();
  return replies.map(({ data }) => data?.id as number);
}

/** The tables agree with each other, and neither server has complained. */
async function expectSound({ databaseUrl, servers }: Pair): Promise<void> {
  expect(await journalFindings(databaseUrl)).toEqual([]);
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
  expect(servers.map((server) => server.stderr())).toEqual(["", ""]);
}

describe("50 users, 20,000 transfers, holds, captures and voids at once", async () => {
  const pair = await startPair();
  const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
  const load = openApiLoad(pair.urls, 128);
  afterAll(load.close);

  test(`the total stays what it was (seed ${seed})`, async () => {
    const users = await openUsers(pair, 50, 1_000);
    const { below, pick } = createRandom(seed);
    const holds: { id: string; userId: number; amount: number }[] = [];
    const said: string[] = [];
    let entries = 0;
    let capturedOutside = 0;

    const note = (kind: string, reply: ApiReply) => {
      said.push(`${kind} ${reply.outcome}`);
      if (reply.status >= 300 || !reply.data) return;
      const { id, userId, amount, captured, to } = reply.data as Record<string, number>;
      entries += kind === "transfer" || (kind === "capture" && to === undefined) ? 2 : 1;
      if (kind === "capture" && to !== undefined) entries += 2;
      if (kind === "capture" && to === undefined) capturedOutside += captured as number;
      if (kind === "hold")
        holds.push({ id: String(id), userId: userId as number, amount: amount as number });
    };
    const draw = (): [kind: string, ApiCall] => {
      const from = pick(users);
      const to = users[
        (users.indexOf(from) + 1 + below(users.length - 1)) % users.length
      ] as number;
      const amount = 1 + below(120);
      const kind = holds.length < 20 ? pick(["transfer", "hold"]) : pick(kinds);
      if (kind === "transfer")
        return [kind, { path: "/api/transfers", body: { from, to, amount } }];
      if (kind === "hold") {
        // Some are due while the load still runs.
        const expiry = below(4) === 0 ? { expiresIn: 1 } : {};
        return [kind, { path: `/api/users/${from}/holds`, body: { amount, ...expiry } }];
      }
      // Out of the last hundred, so that many are asked about twice, and at the same time.
      const hold = holds[
        holds.length - 1 - below(Math.min(100, holds.length))
      ] as (typeof holds)[0];
      const path = `/api/users/${hold.userId}/holds/${hold.id}/${kind}`;
      if (kind === "void") return [kind, { path }];
      const payee = to === hold.userId || below(2) === 0 ? {} : { to };
      return [kind, { path, body: { amount: 1 + below(hold.amount), ...payee } }];
    };

    let left = 20_000;
    const asked: string[] = [];
    await load.drive((socket, before) => {
      if (before) note(asked[socket] as string, before);
      if (left === 0) return undefined;
      left -= 1;
      const [kind, call] = draw();
      asked[socket] = kind;
      return call;
    });

    const counts = count(said);
    expect(said.length).toBe(20_000);
    expect(Object.keys(counts).sort()).toEqual([
      ...["capture 200", "capture 409 HOLD_CLOSED", "hold 201", "hold 422 INSUFFICIENT_FUNDS"],
      ...["transfer 201", "transfer 422 INSUFFICIENT_FUNDS", "void 200", "void 409 HOLD_CLOSED"],
    ]);
    const money = await moneyOf(pair.databaseUrl);
    // User 1 has its 10,000 still.
    expect(money.balances + money.held + money.capturedOutside).toBe(60_000);
    expect(money.capturedOutside).toBe(capturedOutside);
    const [row] = await psql(
      pair.databaseUrl,
      `SELECT count(*) FILTER (WHERE kind NOT IN ('opening', 'expiry'))::int AS entries,
              count(*) FILTER (WHERE kind = 'expiry')::int > 0 AS some_expired
         FROM entries`,
    );
    expect(row).toEqual({ entries, some_expired: true });
    await expectSound(pair);
  });
});

const kinds = ["transfer", "transfer", "transfer", "hold", "hold", "capture", "void"];

describe("two users who pay each other", async () => {
  const pair = await startPair();

  test("64 at a time, both ways: every one is made", async () => {
    const [a = 0, b = 0] = await openUsers(pair, 2, 1_000_000);
    const { made, outcomes, perSecond } = await runHotPair(pair.urls, [[a, b]], 3_000);
    expect(outcomes).toEqual({ "201": made });
    process.stdout.write(`hot pair, 64 at a time, 2 servers: ${perSecond} transfers/s\n`);
    const money = await moneyOf(pair.databaseUrl);
    expect(money).toEqual({ balances: 2_010_000, held: 0, capturedOutside: 0 });
    const rows = await psql(pair.databaseUrl, "SELECT FROM entries WHERE kind = 'transfer'");
    expect(rows.length).toBe(2 * made);
    await expectSound(pair);
  });
});

describe("10,000 transfers of 2 at once, from one user with 10,000 to 100 users", async () => {
  const pair = await startPair();
  const load = openApiLoad(pair.urls, 1_000);
  afterAll(load.close);

  test("exactly 5,000 are made", async () => {
    const payees = await openUsers(pair, 100, 0);
    const calls = Array.from({ length: 10_000 }, (_, index) => {
      const to = payees[index % payees.length] as number;
      return { path: "/api/transfers", body: { from: 1, to, amount: 2 } };
    });
    const replies = await load.all<{ to: number; balance: number }>(calls);
    expect(count(replies.map(({ outcome }) => outcome))).toEqual({
      "201": 5_000,
      "422 INSUFFICIENT_FUNDS": 5_000,
    });
    // Each answer tells the balance that its own transfer left: every one of them once.
    const balances = replies.flatMap(({ data }) => data?.balance ?? []).sort((a, b) => a - b);
    expect(balances).toEqual(Array.from({ length: 5_000 }, (_, index) => index * 2));
    const received = count(replies.flatMap(({ data }) => (data ? String(data.to) : [])));
    const rows = await psql(
      pair.databaseUrl,
      "SELECT id::text, balance::int / 2 AS received, version::int FROM users WHERE id > 1",
    );
    expect(Object.fromEntries(rows.map((row) => [row["id"], row["received"]]))).toEqual(
      Object.fromEntries(payees.map((id) => [id, received[id] ?? 0])),
    );
    expect(await moneyOf(pair.databaseUrl)).toEqual({
      ...{ balances: 10_000, held: 0, capturedOutside: 0 },
    });
    await expectSound(pair);
  });
});
