/** Bounds in time: on failures of an address, and on the requests of a token. */

export interface FailureLimit {
  /** Milliseconds until this address may try again; 0 when it may now. */
  waitMs(address: string): number;
  /** @param counts whether it counts towards the limit */
  failed(address: string, counts?: boolean): void;
  /** How many failed since the last time that this was asked, and from how many addresses. */
  take(): { failures: number; addresses: number };
}

/** Whoever guesses 256 bits ten times a minute does no harm; who has mistyped a token has room to find it. */
const failuresMax = 10;
const windowMs = 60_000;
/** Beyond it those are forgotten that have been quiet for longest. */
const addressesMax = 10_000;

interface Window {
  beganMs: number;
  failures: number;
}

export function limitFailures(now: () => number = () => performance.now()): FailureLimit {
  const windows = new Map<string, Window>();
  let failures = 0;
  let seen = new Set<string>();

  function current(address: string): Window | undefined {
    const window = windows.get(address);
    if (window === undefined || now() - window.beganMs < windowMs) return window;
    windows.delete(address);
    return undefined;
  }

  return {
    waitMs: (address) => {
      const window = current(address);
      if (window === undefined || window.failures < failuresMax) return 0;
      return Math.max(1, window.beganMs + windowMs - now());
    },
    failed: (address, counts = true) => {
      failures += 1;
      if (seen.size < addressesMax) seen.add(address);
      if (!counts) return;
      const window = current(address) ?? { beganMs: now(), failures: 0 };
      window.failures += 1;
      windows.delete(address);
      windows.set(address, window);
      if (windows.size > addressesMax) windows.delete(windows.keys().next().value as string);
    },
    take: () => {
      const taken = { failures, addresses: seen.size };
      failures = 0;
      seen = new Set();
      return taken;
    },
  };
}

/** A bucket that holds a second's worth. */
export interface RateLimit {
  /** Requests a second. */
  readonly rate: number;
  /** Takes one. @returns milliseconds until there is one; 0 when it was taken */
  take(): number;
}

export function limitRate(rate: number, now: () => number = () => performance.now()): RateLimit {
  let left = rate;
  let at = now();
  return {
    rate,
    take: () => {
      const time = now();
      left = Math.min(rate, left + ((time - at) * rate) / 1_000);
      at = time;
      if (left < 1) return ((1 - left) * 1_000) / rate;
      left -= 1;
      return 0;
    },
  };
}
