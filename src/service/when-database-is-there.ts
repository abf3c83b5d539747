import { setTimeout as sleep } from "node:timers/promises";
import { isNotThereYet, knock, whyNotThere } from "../database/not-there-yet.ts";
import type { BalancectlError } from "../errors.ts";

export interface Wait {
  readonly waitMs: number;
  /** Ends it at once; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Called before each pause. */
  readonly onWait: (why: string, leftMs: number) => void;
}

const pauseMsMax = 1_000;

/**
 * Does `work` as soon as the database can be connected to; again, if it goes away meanwhile.
 * @throws what connecting throws, when it is not there in time or no waiting will change it
 */
export async function whenDatabaseIsThere<T>(
  url: string,
  { waitMs, signal, onWait }: Wait,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(1.5 * pauseMs, pauseMsMax)) {
    try {
      // A connection may take seconds to fail. The work knows by itself how to be interrupted.
      await unless(signal, knock(url));
      return await work();
    } catch (error) {
      const leftMs = deadline - performance.now();
      if (!isNotThereYet(error) || leftMs <= 0) throw error;
      onWait(whyNotThere(error as BalancectlError), leftMs);
      await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }
}

async function unless(signal: AbortSignal, done: Promise<void>): Promise<void> {
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true, signal: over.signal });
  });
  await Promise.race([done, aborted]).finally(() => over.abort());
}
