/** A load of every kind of change through a proxy that cuts connections, each call held against the journal. */
import { expect } from "vitest";
import { BalanceClient, BalanceError } from "../../../src/client/balance-client.ts";
import { verify } from "../../../src/ledger/verify.ts";
import { createTestDatabase, psql } from "../database/database.ts";
import { type CuttingProxy, cuts, startCuttingProxy } from "../http/cutting-proxy.ts";
import { createRandom, type Random } from "../random.ts";
import { serveInProcess } from "../server/in-process.ts";

export interface CutRun {
  readonly operations: number;
  readonly callers: number;
  readonly seed: number;
  /** Of each exchange, from 0 to 1. */
  readonly cutShare: number;
}

/** What one call came to: how many entries with its reference there must be, and what it did to all balances. */
interface Claim {
  readonly reference: string;
  readonly entries: number;
  readonly total: number;
  /** The entry of this user with this reference has left this balance. */
  readonly left?: { readonly userId: number; readonly balance: number };
}

export interface CutResult {
  readonly proxy: CuttingProxy;
  readonly claims: readonly Claim[];
  readonly refused: number;
  readonly repeated: number;
  readonly replayed: number;
}

/** Runs it, and fails unless each call was done exactly once, or refused and not done. */
export async function runUnderCuts(run: CutRun): Promise<CutResult> {
  const databaseUrl = await createTestDatabase();
  const server = await serveInProcess(databaseUrl);
  const random = createRandom(run.seed);
  const proxy = await startCuttingProxy(server.url, () =>
    random.below(1_000) < run.cutShare * 1_000
      ? { cut: random.pick(cuts), fraction: random.below(100) / 100 }
      : undefined,
  );
  let repeated = 0;
  const client = new BalanceClient({
    url: proxy.url,
    backoff: { baseMs: 2, maxMs: 20 },
    triesMax: 100,
    onRetry: () => {
      repeated += 1;
    },
  });
  const direct = new BalanceClient({ url: server.url });
  const users: number[] = [];
  for (let i = 0; i < 20; i++) users.push((await direct.openUser({ balance: 200 })).id);

  const claims: Claim[] = [];
  let refused = 0;
  let replayed = 0;
  let next = 0;
  const caller = async () => {
    while (next < run.operations) {
      const reference = `call ${next++}`;
      try {
        const { wasReplayed, ...claim } = await anyChange(client, users, reference, random);
        claims.push({ reference, ...claim });
        if (wasReplayed) replayed += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: "INSUFFICIENT_FUNDS", applied: "no", status: 422 });
        expect(error).toBeInstanceOf(BalanceError);
        claims.push({ reference, entries: 0, total: 0 });
        refused += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: run.callers }, caller));
  await expectEachOnce(databaseUrl, claims, 10_000 + 200 * users.length);
  return { proxy, claims, refused, repeated, replayed };
}

type Done = Omit<Claim, "reference"> & { readonly wasReplayed: boolean };

async function anyChange(
  client: BalanceClient,
  users: readonly number[],
  reference: string,
  random: Random,
): Promise<Done> {
  const userId = random.pick(users);
  const to = users[(users.indexOf(userId) + 1) % users.length] as number;
  const amount = 1 + random.below(60);
  switch (random.pick(kinds)) {
    case "adjust": {
      const signed = random.below(2) === 0 ? amount : -amount;
      const made = await client.adjust(userId, signed, { reference });
      const { balance, previousBalance, replayed: wasReplayed } = made;
      expect(balance - previousBalance).toBe(signed);
      return { entries: 1, total: signed, left: { userId, balance }, wasReplayed };
    }
    case "transfer": {
      const made = await client.transfer({ from: userId, to, amount, reference });
      const left = { userId, balance: made.balance };
      return { entries: 2, total: 0, left, wasReplayed: made.replayed };
    }
    case "batch": {
      const legs = [1, 2, 3].map((leg) => ({ from: userId, to, amount: leg, reference }));
      const made = await client.transferBatch(legs);
      expect(made.transfers).toHaveLength(3);
      return { entries: 6, total: 0, wasReplayed: made.replayed };
    }
    case "open": {
      const made = await client.openUser({ balance: amount, reference });
      const left = { userId: made.id, balance: amount };
      return { entries: 1, total: amount, left, wasReplayed: made.replayed };
    }
    case "hold": {
      const { id, replayed } = await client.hold(userId, amount, { reference });
      if (random.below(2) === 0) {
        const { released } = await client.voidHold(userId, id, { reference });
        expect(released).toBe(amount);
        return { entries: 2, total: 0, wasReplayed: replayed };
      }
      const { balance, captured } = await client.captureHold(userId, id, { reference, to });
      expect(captured).toBe(amount);
      expect(Number.isSafeInteger(balance)).toBe(true);
      // The hold; its release and capture; and what the other got.
      return { entries: 4, total: 0, wasReplayed: replayed };
    }
  }
}

const kinds = ["adjust", "adjust", "adjust", "transfer", "batch", "open", "hold"] as const;

async function expectEachOnce(
  databaseUrl: string,
  claims: readonly Claim[],
  totalBefore: number,
): Promise<void> {
  const found = await psql<{ reference: string; count: number }>(
    databaseUrl,
    "SELECT reference, count(*)::int AS count FROM entries WHERE reference LIKE 'call %' GROUP BY 1",
  );
  const expected = claims.filter(({ entries }) => entries > 0);
  expect(Object.fromEntries(found.map(({ reference, count }) => [reference, count]))).toEqual(
    Object.fromEntries(expected.map(({ reference, entries }) => [reference, entries])),
  );
  const balances = await psql<{ reference: string; user_id: string; balance: string }>(
    databaseUrl,
    "SELECT reference, user_id, balance FROM entries WHERE reference LIKE 'call %'",
  );
  const left = new Map(
    balances.map((row) => [`${row.reference} of ${row.user_id}`, Number(row.balance)]),
  );
  const wrong = claims.filter(
    (claim) =>
      claim.left && left.get(`${claim.reference} of ${claim.left.userId}`) !== claim.left.balance,
  );
  expect(wrong).toEqual([]);
  const [sum] = await psql(databaseUrl, "SELECT sum(balance + held)::int AS total FROM users");
  const total = claims.reduce((all, claim) => all + claim.total, totalBefore);
  expect(sum).toEqual({ total });
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
}
