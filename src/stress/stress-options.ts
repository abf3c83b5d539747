/** What a stress run is asked to do, and the rules that it must keep. */
import { BalancectlError } from "../errors.ts";
import { stressMax } from "../limits.ts";

export interface StressOptions extends StressLoad {
  /** Where the API is, http or https; a path is kept as the prefix of every request. */
  readonly url: string;
}

/** All but where to. */
export interface StressLoad {
  /**
   * Closed loop: how many withdrawals are sent, each when one before it is answered. Exactly one of
   * this and `rate` with `durationSeconds`.
   */
  readonly count?: number | undefined;
  /** Open loop: how many withdrawals are due each second, however slow the answers are. */
  readonly rate?: number | undefined;
  readonly durationSeconds?: number | undefined;
  /** How many of them are in flight at once, at the most, each on a socket of its own. */
  readonly concurrency: number;
  /** What each withdrawal takes, positive. */
  readonly amount: number;
  /** The balance of each user that is created for the run. Exactly one of this and `userId`. */
  readonly balance?: number | undefined;
  /** How many users are created for the run. Default 1. */
  readonly users?: number | undefined;
  /** How unequal they are, as the exponent of Zipf's law. Default 0: all alike. */
  readonly skew?: number | undefined;
  /** The same seed picks the same users in the same order. Default: a random one. */
  readonly seed?: number | undefined;
  /** An existing user to withdraw from; what is expected follows from its balance as found. */
  readonly userId?: number | undefined;
  /** Whether each withdrawal carries an Idempotency-Key of its own. Default false. */
  readonly keys?: boolean | undefined;
  /** What the server asks for, if it asks: of one that may write for all users. */
  readonly token?: string | undefined;
  /** A request without its full answer after this long counts as not answered. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the run early, with a report of what was seen so far. */
  readonly signal?: AbortSignal | undefined;
}

// An open loop uses its sockets in turn, and many servers close one that was idle for 5 s. By
// Little's law this many sockets a request/s still keep up with answers that take 4 s.
const idleSecondsMax = 4;
const socketsByDefaultMax = 1_000;

/**
 * The URL of valid options.
 * @throws BalancectlError INVALID_REQUEST, naming the option.
 */
export function checkStressOptions(options: StressOptions): URL {
  checkLoad(options);
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw invalid(`url must begin with http:// or https:// (it is ${JSON.stringify(options.url)})`);
  }
  return url;
}

/** @throws BalancectlError INVALID_REQUEST, naming the option. */
export function checkLoad(load: StressLoad): void {
  const { concurrency, amount, timeoutMs } = load;
  checkArrivals(load);
  checkWhole("concurrency", concurrency, 1, stressMax.sockets);
  checkWhole("amount", amount, 1, Number.MAX_SAFE_INTEGER);
  if (timeoutMs !== undefined)
    checkWhole("timeoutMs", timeoutMs, 1, stressMax.timeoutSeconds * 1_000);
  checkUsers(load);
}

/** How many sockets an open loop opens unless told otherwise: enough for answers within 1 s. */
export function socketsByDefault(rate: number): number {
  return Math.min(rate, socketsByDefaultMax);
}

function checkArrivals({ count, rate, durationSeconds, concurrency }: StressLoad): void {
  if (rate === undefined && durationSeconds === undefined && count !== undefined) {
    checkWhole("count", count, 1, stressMax.requests);
    return;
  }
  if (rate === undefined || durationSeconds === undefined || count !== undefined) {
    throw invalid("give either a count or a rate and durationSeconds");
  }
  checkWhole("rate", rate, 1, stressMax.rate);
  checkWhole("durationSeconds", durationSeconds, 1, stressMax.durationSeconds);
  checkWhole("rate x duration", rate * durationSeconds, 1, stressMax.requests);
  if (Math.min(concurrency, rate * durationSeconds) > rate * idleSecondsMax) {
    throw invalid(
      `concurrency must be at most ${rate * idleSecondsMax} for a rate of ${rate} (it is ` +
        `${concurrency}): sockets idle for longer than ${idleSecondsMax} s are closed by servers`,
    );
  }
}

function checkUsers({ balance, userId, users, skew, seed }: StressLoad): void {
  if (balance !== undefined) checkWhole("balance", balance, 0, Number.MAX_SAFE_INTEGER);
  if (userId !== undefined) checkWhole("userId", userId, 1, Number.MAX_SAFE_INTEGER);
  if ((balance === undefined) === (userId === undefined)) {
    throw invalid("give either a balance or a userId");
  }
  if (users !== undefined) checkWhole("users", users, 1, stressMax.users);
  if (users !== undefined && users > 1 && userId !== undefined) {
    throw invalid("give either a userId or several users");
  }
  // The report adds the balances of all of them up.
  const total = (balance ?? 0) * (users ?? 1);
  if (users !== undefined) checkWhole("users x balance", total, 0, Number.MAX_SAFE_INTEGER);
  if (skew !== undefined && !(skew >= 0 && skew <= stressMax.skew)) {
    throw invalid(`skew must be a number from 0 to ${stressMax.skew} (it is ${skew})`);
  }
  if (seed !== undefined) checkWhole("seed", seed, 0, stressMax.seed);
}

function invalid(message: string): BalancectlError {
  return new BalancectlError("INVALID_REQUEST", message);
}

function checkWhole(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw invalid(`${name} must be a whole number from ${min} to ${max} (it is ${value})`);
}
