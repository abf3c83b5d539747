import { expect, test } from "vitest";
import { limitFailures, limitRate } from "../../src/access/throttle.ts";

test("ten failures a minute of an address, and nobody else pays", () => {
  let now = 0;
  const limit = limitFailures(() => now);
  for (let failure = 0; failure < 10; failure += 1) {
    expect(limit.waitMs("a")).toBe(0);
    limit.failed("a");
    now += 1_000;
  }
  expect([limit.waitMs("a"), limit.waitMs("b")]).toEqual([50_000, 0]);
  now = 59_999;
  expect(limit.waitMs("a")).toBe(1);
  now = 60_000;
  expect(limit.waitMs("a")).toBe(0);
  expect(limit.take()).toEqual({ failures: 10, addresses: 1 });
  expect(limit.take()).toEqual({ failures: 0, addresses: 0 });
});

test("a million addresses are not a million windows: the quiet ones are forgotten", () => {
  const limit = limitFailures(() => 0);
  for (let failure = 0; failure < 10; failure += 1) limit.failed("a");
  for (let one = 0; one < 9_999; one += 1) limit.failed(`b${one}`);
  expect(limit.waitMs("a")).toBe(60_000);
  limit.failed("c");
  expect(limit.waitMs("a")).toBe(0);
});

test("a rate: a second's worth at once, then as they come", () => {
  let now = 0;
  const limit = limitRate(4, () => now);
  expect([1, 2, 3, 4, 5].map(() => limit.take())).toEqual([0, 0, 0, 0, 250]);
  now = 125;
  expect(limit.take()).toBe(125);
  now = 250;
  expect([limit.take(), limit.take()]).toEqual([0, 250]);
  now = 60_000;
  expect([1, 2, 3, 4, 5].map(() => limit.take())).toEqual([0, 0, 0, 0, 250]);
});
