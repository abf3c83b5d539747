/**
 * A call: tried until the ledger has answered, or it cannot, or the time is over. Each try of a change
 * has the same key, so that whatever became of those before, it is made once:
 *
 *     try ──answered, or refused by the ledger──────────────────▶ done
 *      ▲  │
 *      │  ├─will not pass (401, 500), last try, no time left────▶ BalanceError, "unknown" if one try is
 *      │  └─lost, 424, 503, ... : wait with jitter, Retry-After
 *      └──────────────────────┘
 */
import { waitBefore } from "./backoff.ts";
import { type Applied, BalanceError } from "./balance-error.ts";
import { type Answered, type Call, type Failed, tryOnce } from "./one-try.ts";
import { atLeast, type Settings } from "./settings.ts";
import type { CallOptions } from "./shapes.ts";
import { limitTime, sleep, type TimeLimit } from "./time-limit.ts";

/** @throws BalanceError; TypeError for a token or key that no header can carry; what a token's function throws */
export async function send<Data>(
  call: Call,
  settings: Settings,
  options: CallOptions,
): Promise<Answered<Data>> {
  const timeoutMs = atLeast(0, "timeoutMs", options.timeoutMs ?? settings.timeoutMs);
  const tryMs = atLeast(0, "tryTimeoutMs", options.tryTimeoutMs ?? settings.tryTimeoutMs);
  const limit = limitTime(timeoutMs, options.signal);
  try {
    return (await sendUntil(call, settings, tryMs, limit, timeoutMs)) as Answered<Data>;
  } finally {
    limit.clear();
  }
}

async function sendUntil(
  call: Call,
  settings: Settings,
  tryTimeoutMs: number,
  limit: TimeLimit,
  timeoutMs: number,
): Promise<Answered> {
  const { backoff, triesMax, retryAfterMaxMs, onRetry } = settings;
  let isDoubtful = false;
  let last: BalanceError | undefined;
  for (let tries = 1; ; tries++) {
    if (limit.signal.aborted) throw ended(call, limit, timeoutMs, tries - 1, isDoubtful, last);
    const result = await unlessEnded(tryOnce(call, settings, tryTimeoutMs, limit.signal), limit);
    if (result !== undefined && "data" in result) return result;
    if (result?.isDecided) throw errorOf(result, call, tries, "no");
    if (result?.applied === "unknown") isDoubtful = true;
    if (limit.signal.aborted || result === undefined) {
      throw ended(call, limit, timeoutMs, tries, isDoubtful, last);
    }
    const error = errorOf(result, call, tries, isDoubtful ? "unknown" : "no");
    last = error;
    const { retryAfterMs = 0 } = result;
    const waitMs = waitBefore(tries, backoff, retryAfterMs);
    const isTooLate = performance.now() + waitMs >= limit.endMs;
    if (!result.mayPass || tries >= triesMax || retryAfterMs > retryAfterMaxMs || isTooLate) {
      throw error;
    }
    onRetry?.({ error, tries, waitMs });
    await unlessEnded(sleep(waitMs, limit.signal), limit);
  }
}

/** Undefined when the time is over, or the caller has ended the call, and nothing was sent since. */
async function unlessEnded<T>(work: Promise<T>, { signal }: TimeLimit): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function errorOf(failed: Failed, call: Call, tries: number, applied: Applied): BalanceError {
  const { idempotencyKey } = call;
  const { message, mayPass: _, isDecided: __, ...about } = failed;
  return new BalanceError(message, { ...about, applied, idempotencyKey, tries });
}

function ended(
  { idempotencyKey }: Call,
  limit: TimeLimit,
  timeoutMs: number,
  tries: number,
  isDoubtful: boolean,
  last: BalanceError | undefined,
): BalanceError {
  const applied = isDoubtful ? "unknown" : "no";
  const about = { applied, idempotencyKey, tries } as const;
  if (limit.isOver()) {
    const message = `No answer came in ${timeoutMs} ms`;
    const text = last === undefined ? message : `${message}; before: ${last.message}`;
    return new BalanceError(text, { ...about, code: "TIMEOUT", cause: last });
  }
  const { reason } = limit.signal;
  return new BalanceError("The call was ended by its signal", {
    ...about,
    code: "ABORTED",
    cause: reason,
  });
}
