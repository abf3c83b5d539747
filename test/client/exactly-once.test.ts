/** Changes through a proxy that cuts connections at every point, each of them made once (test/long: 10,000). */
import { expect, test } from "vitest";
import { BalanceClient } from "../../src/client/balance-client.ts";
import { runUnderCuts } from "../support/client/run-under-cuts.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { cuts } from "../support/http/cutting-proxy.ts";
import { serveInProcess } from "../support/server/in-process.ts";

test("2,000 calls over 100 connections, cut at every point: each is done once", async () => {
  const { proxy, claims, refused, repeated, replayed } = await runUnderCuts({
    ...{ operations: 2_000, callers: 100, cutShare: 0.15, seed: 20_261_127 },
  });
  expect(claims).toHaveLength(2_000);
  // Of each kind there were many, and what they left in doubt was found under its key.
  for (const cut of cuts) expect([cut, proxy.done[cut] > 20]).toEqual([cut, true]);
  expect(refused).toBeGreaterThan(20);
  expect(repeated).toBeGreaterThan(100);
  expect(replayed).toBeGreaterThan(20);
});

test.each([
  ["adjustment", -3, 9_997],
  ["refusal", -10_001, 10_000],
])(
  "an outcome that the server does not know is found under the key: of the %s",
  async (kind, amount, left) => {
    const proxy = await startTcpProxy(await createTestDatabase());
    const bounds = { lanes: 1, lockTimeoutMs: 200, statementTimeoutMs: 500 };
    const server = await serveInProcess(proxy.url, bounds);
    const retried: unknown[] = [];
    const client = new BalanceClient({
      url: server.url,
      onRetry: ({ error: { code, applied, retryAfterMs } }) => {
        retried.push({ code, applied, retryAfterMs });
        void proxy.mend();
      },
    });
    await client.openUser({ id: 2 });
    const lost = proxy.loseNextAnswer();
    const change = client.adjust(1, amount).catch((error) => error);
    await lost;
    // Committed, and then the database is gone, so that its answer cannot be looked for either.
    await proxy.down();
    const result = await change;
    expect(retried).toEqual([{ code: "OUTCOME_UNKNOWN", applied: "unknown", retryAfterMs: 1_000 }]);
    expect(result).toMatchObject(
      kind === "refusal"
        ? { code: "INSUFFICIENT_FUNDS", applied: "no", tries: 2 }
        : { balance: left, replayed: true },
    );
    expect((await client.getUser(1)).balance).toBe(left);
  },
);
