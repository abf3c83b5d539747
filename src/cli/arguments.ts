/** Parsers of arguments and options; commander shows their messages and ends with exit code 2. */
import { InvalidArgumentError } from "commander";

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

export const userId = wholeNumber(1, Number.MAX_SAFE_INTEGER);
export const positiveAmount = wholeNumber(1, Number.MAX_SAFE_INTEGER);
export const balance = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** A change of a balance: not 0. */
export function signedAmount(text: string): number {
  const value = wholeNumber(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)(text);
  if (value === 0) throw new InvalidArgumentError("It must not be 0.");
  return value;
}

export const port = wholeNumber(0, 65_535);
export const workerCount = wholeNumber(1, 64);
export const days = wholeNumber(1, 36_500);
export const requestCount = wholeNumber(1, 10_000_000);
/** Requests a second. */
export const rate = wholeNumber(1, 1_000_000);
export const runSeconds = wholeNumber(1, 86_400);
export const userCount = wholeNumber(1, 100_000);
export const seed = wholeNumber(0, 2 ** 32 - 1);

/** An exponent: 0, 1, 1.1. */
export function skew(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 10) return value;
  throw new InvalidArgumentError("It must be a number from 0 to 10.");
}

export const socketCount = wholeNumber(1, 1_000_000);
export const rowCount = wholeNumber(1, 1_000_000_000);
export const timeoutSeconds = wholeNumber(1, 3_600);
/** Seconds that a hold lives: up to ten years. */
export const lifetime = wholeNumber(1, 315_360_000);
