/** As test/client/exactly-once.test.ts, for longer, and with another seed each time. */
import { expect, test } from "vitest";
import { runUnderCuts } from "../support/client/run-under-cuts.ts";
import { cuts } from "../support/http/cutting-proxy.ts";

test("10,000 calls over 100 connections, cut at every point: each is done once", async () => {
  const seed = Date.now() % 2 ** 31;
  const { proxy, claims, refused, replayed } = await runUnderCuts({
    ...{ operations: 10_000, callers: 100, cutShare: 0.12, seed },
  });
  const seen = { ...proxy.done, passed: proxy.passed(), refused, replayed };
  process.stdout.write(`seed ${seed}: ${JSON.stringify(seen)}\n`);
  expect(claims).toHaveLength(10_000);
  for (const cut of cuts) expect([cut, proxy.done[cut] > 100]).toEqual([cut, true]);
});
