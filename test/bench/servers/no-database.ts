/** (B) This server, routes, checks and all, on a ledger that answers at once from memory. */
import { openToAll } from "../../../src/access/access.ts";
import { createApp } from "../../../src/http/app.ts";
import { startHttpServer } from "../../../src/http/server.ts";
import type { Ledger } from "../../../src/ledger/ledger.ts";
import type { Operation, Outcome } from "../../../src/ledger/operation.ts";
import { createLogger } from "../../../src/log.ts";
import { openingBalance } from "../population.ts";
import { announce } from "./answering.ts";

const balances = new Map<number, { balance: number; version: number }>();

async function apply(operation: Operation): Promise<Outcome> {
  const { userId, amount } = operation;
  const user = userOf(userId);
  const previousBalance = user.balance;
  user.balance += amount ?? 0;
  user.version += 1;
  return {
    refusal: null,
    balance: user.balance,
    previousBalance,
    version: user.version,
    amount,
    replayed: false,
    operationId: null,
    createdUserId: null,
    hold: null,
    refusedLeg: null,
    decidedAtMs: Date.now(),
  };
}

function userOf(id: number): { balance: number; version: number } {
  const user = balances.get(id) ?? { balance: openingBalance, version: 1 };
  balances.set(id, user);
  return user;
}

// Only what the benchmark asks for is there.
const ledger = {
  apply,
  user: async (id: number) => ({ id, ...userOf(id) }),
} as unknown as Ledger;
const api = { ledger, notReady: async () => null, access: openToAll, metrics: async () => "" };
const app = createApp(api, createLogger("warn"), {
  host: "127.0.0.1",
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  requireKeys: false,
  bodyBytesMax: 100_000,
});
const { url } = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
announce(url);
