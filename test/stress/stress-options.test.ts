/** The command line and the engine refuse beyond the same numbers. */
import { InvalidArgumentError } from "commander";
import { expect, test } from "vitest";
import * as is from "../../src/cli/arguments.ts";
import { BalancectlError } from "../../src/errors.ts";
import { stressMax } from "../../src/limits.ts";
import { checkLoad, type StressLoad } from "../../src/stress/stress-options.ts";

const load: StressLoad = { count: 1, concurrency: 1, amount: 1, balance: 1 };
const open = { ...load, count: undefined, rate: 1, durationSeconds: 1 };

test.each<[string, (text: string) => number, number, (value: number) => StressLoad]>([
  ["--count", is.requestCount, stressMax.requests, (count) => ({ ...load, count })],
  ["--concurrency", is.socketCount, stressMax.sockets, (concurrency) => ({ ...load, concurrency })],
  ["--rate", is.rate, stressMax.rate, (rate) => ({ ...open, rate })],
  [
    "--duration",
    is.runSeconds,
    stressMax.durationSeconds,
    (durationSeconds) => ({ ...open, durationSeconds }),
  ],
  ["--users", is.userCount, stressMax.users, (users) => ({ ...load, users })],
  ["--skew", is.skew, stressMax.skew, (skew) => ({ ...load, skew })],
  ["--seed", is.seed, stressMax.seed, (seed) => ({ ...load, seed })],
  [
    "--timeout",
    is.timeoutSeconds,
    stressMax.timeoutSeconds,
    (seconds) => ({ ...load, timeoutMs: seconds * 1_000 }),
  ],
])("%s", (_flag, parse, max, loadOf) => {
  expect(parse(String(max))).toBe(max);
  checkLoad(loadOf(max));
  expect(() => parse(String(max + 1))).toThrow(InvalidArgumentError);
  expect(() => checkLoad(loadOf(max + 1))).toThrow(BalancectlError);
});
