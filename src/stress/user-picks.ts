/**
 * Which user each request goes to. Drawn from a seeded generator, so that the same seed gives the
 * same requests, and how many of them each user gets is known before the first one is sent.
 */
import { setImmediate as letOthersRun } from "node:timers/promises";

export interface Picks {
  readonly users: number;
  /**
   * The exponent of Zipf's law: the k-th user is drawn with a probability in proportion to
   * 1 / k^skew. 0 makes all of them equal; at 1 and a hundred users the first gets every fifth.
   */
  readonly skew: number;
  /** 0 to 2^32 - 1. */
  readonly seed: number;
}

// About 100 ms of work.
const picksAtOnce = 1_000_000;

/** The sequence of users, as indexes from 0 on, from its beginning. */
export function createPicker({ users, skew, seed }: Picks): () => number {
  if (users === 1) return () => 0;
  // The cumulative distribution, not normalised, and its inverse by bisection.
  const cumulative = new Float64Array(users);
  let total = 0;
  for (let index = 0; index < users; index++) {
    total += (index + 1) ** -skew;
    cumulative[index] = total;
  }
  const random = createRandom(seed);
  return () => {
    const wanted = random() * total;
    let low = 0;
    let high = users - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** How many of the first `requests` picks go to each user. Rejects with the signal's reason. */
export async function countPicks(
  picks: Picks,
  requests: number,
  signal: AbortSignal,
): Promise<Uint32Array> {
  if (picks.users === 1) return Uint32Array.of(requests);
  const counts = new Uint32Array(picks.users);
  const pick = createPicker(picks);
  for (let done = 0; done < requests; done++) {
    const user = pick();
    counts[user] = (counts[user] ?? 0) + 1;
    if (done % picksAtOnce === picksAtOnce - 1) {
      await letOthersRun();
      signal.throwIfAborted();
    }
  }
  return counts;
}

/** Numbers from 0 up to, not including, 1: Tommy Ettinger's mulberry32 (public domain). */
function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
