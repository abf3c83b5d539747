/** What a stress run is asked to do, and the rules that it must keep. */
import { BalancectlError } from "../errors.ts";

export interface StressOptions {
  /** Where the API is, http or https; a path is kept as the prefix of every request. */
  readonly url: string;
  /** How many withdrawals are sent. */
  readonly count: number;
  /** How many of them are in flight at once, each on a socket of its own. */
  readonly concurrency: number;
  /** What each withdrawal takes, positive. */
  readonly amount: number;
  /** The balance of the user that is created for the run. Exactly one of this and `userId`. */
  readonly balance?: number | undefined;
  /** An existing user to withdraw from; what is expected follows from its balance as found. */
  readonly userId?: number | undefined;
  /** A request without its full answer after this long counts as not answered. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the run early, with a report of what was seen so far. */
  readonly signal?: AbortSignal | undefined;
}

// What an array can hold and a terminal can wait for; beyond it is a typing error.
const countMax = 100_000_000;
const timeoutMsMax = 3_600_000;

/**
 * The URL of valid options.
 * @throws BalancectlError INVALID_REQUEST, naming the option.
 */
export function checkStressOptions(options: StressOptions): URL {
  const { count, concurrency, amount, balance, userId, timeoutMs } = options;
  checkWhole("count", count, 1, countMax);
  checkWhole("concurrency", concurrency, 1, countMax);
  checkWhole("amount", amount, 1, Number.MAX_SAFE_INTEGER);
  if (balance !== undefined) checkWhole("balance", balance, 0, Number.MAX_SAFE_INTEGER);
  if (userId !== undefined) checkWhole("userId", userId, 1, Number.MAX_SAFE_INTEGER);
  if (timeoutMs !== undefined) checkWhole("timeoutMs", timeoutMs, 1, timeoutMsMax);
  if ((balance === undefined) === (userId === undefined)) {
    throw new BalancectlError("INVALID_REQUEST", "give either a balance or a userId");
  }
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new BalancectlError(
      "INVALID_REQUEST",
      `url must begin with http:// or https:// (it is ${JSON.stringify(options.url)})`,
    );
  }
  return url;
}

function checkWhole(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new BalancectlError(
    "INVALID_REQUEST",
    `${name} must be a whole number from ${min} to ${max} (it is ${value})`,
  );
}
