import { expect, test, vi } from "vitest";
import { parseRetryAfter, waitBefore } from "../../src/client/backoff.ts";
import { newIdempotencyKey } from "../../src/client/idempotency-key.ts";

test("waits are anything up to a bound that doubles, and beside what the server asks for", () => {
  const backoff = { baseMs: 100, maxMs: 1_000 };
  const longest = [1, 2, 3, 4, 5, 99].map((tries) => waitBefore(tries, backoff, 0, () => 1));
  expect(longest).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  expect(waitBefore(9, backoff, 0, () => 0)).toBe(0);
  expect(waitBefore(1, backoff, 2_000, () => 0.5)).toBe(2_050);
});

const now = Date.parse("2026-11-27T12:00:00Z");
test.each<[value: string | null, ms: number | undefined]>([
  [null, undefined],
  ["0", 0],
  [" 120 ", 120_000],
  ["Fri, 27 Nov 2026 12:00:05 GMT", 5_000],
  ["Friday, 27-Nov-26 12:00:05 GMT", 5_000],
  ["Fri Nov 27 12:00:05 2026 GMT", 5_000],
  ["Fri, 27 Nov 2026 11:00:00 GMT", 0],
  ["-1", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["", undefined],
])("Retry-After %j is %j ms", (value, ms) => {
  expect(parseRetryAfter(value, now)).toBe(ms);
});

test("keys are UUIDs of version 4, also where there is no randomUUID()", () => {
  const shape = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
  expect(newIdempotencyKey()).toMatch(shape);
  const getRandomValues = crypto.getRandomValues.bind(crypto);
  vi.stubGlobal("crypto", { getRandomValues });
  try {
    const keys = Array.from({ length: 100 }, newIdempotencyKey);
    for (const key of keys) expect(key).toMatch(shape);
    expect(new Set(keys).size).toBe(100);
  } finally {
    vi.unstubAllGlobals();
  }
});
