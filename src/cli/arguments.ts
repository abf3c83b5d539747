/** Parsers of arguments and options; commander shows their messages and ends with exit code 2. */
import { InvalidArgumentError } from "commander";
import { holdSecondsMax, idempotencyDaysMax, portMax, stressMax } from "../limits.ts";
import { secondsIn } from "./durations.ts";

/** A whole number as people type it: digits, with a minus sign where `min` allows one. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A time in seconds: a whole number of them, or with units, as in 90s, 1h30m, 7d. */
export function seconds(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = secondsIn(text) ?? (/^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN);
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      `It must be a whole number of seconds from ${min} to ${max}, or a time like 90s, 1h, 7d.`,
    );
  };
}

export const userId = wholeNumber(1, Number.MAX_SAFE_INTEGER);
export const positiveAmount = wholeNumber(1, Number.MAX_SAFE_INTEGER);
/** Given several times, they come together. */
export function userIds(text: string, before: readonly number[] = []): number[] {
  return [...new Set([...before, userId(text)])];
}

/** Of a client that has tokens: what a setting can carry too. */
export function clientName(text: string): string {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 64 letters, digits and ._-");
}

/** Seconds, from a number with a unit. */
export function tokenLifetime(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit] ?? 0);
  if (seconds >= 1 && seconds <= 10 * 366 * 86_400) return seconds;
  throw new InvalidArgumentError("It must be a time of up to ten years, like 12h or 90d.");
}

/** Requests a second, with or without its unit. */
export function tokenRate(text: string): number {
  const count = wholeNumber(1, 1_000_000);
  return count(text.replace(/\/s$/, ""));
}

/** An id to begin behind: 0 is before all. */
export const afterId = wholeNumber(0, Number.MAX_SAFE_INTEGER);
export const balance = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** A change of a balance: not 0. */
export function signedAmount(text: string): number {
  const value = wholeNumber(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)(text);
  if (value === 0) throw new InvalidArgumentError("It must not be 0.");
  return value;
}

export const port = wholeNumber(0, portMax);
export const workerCount = wholeNumber(1, 64);
/** Seconds to wait for a database: 0 is not at all. */
export const waitSeconds = seconds(0, 86_400);
export const days = wholeNumber(1, idempotencyDaysMax);
export const requestCount = wholeNumber(1, stressMax.requests);
/** Requests a second. */
export const rate = wholeNumber(1, stressMax.rate);
export const runSeconds = seconds(1, stressMax.durationSeconds);
export const userCount = wholeNumber(1, stressMax.users);
export const seed = wholeNumber(0, stressMax.seed);

/** An exponent: 0, 1, 1.1. */
export function skew(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= stressMax.skew) return value;
  throw new InvalidArgumentError(`It must be a number from 0 to ${stressMax.skew}.`);
}

export const socketCount = wholeNumber(1, stressMax.sockets);
export const rowCount = wholeNumber(1, 1_000_000_000);
export const timeoutSeconds = seconds(1, stressMax.timeoutSeconds);
/** Seconds that a hold lives. */
export const lifetime = seconds(1, holdSecondsMax);
