/** How long to wait before another try. */

/** Milliseconds. */
export interface Backoff {
  /** The longest wait before the second try; each further one may take twice as long. */
  readonly baseMs: number;
  /** The longest wait at all, beside what the server asks for. */
  readonly maxMs: number;
}

/**
 * Full jitter: anything from nothing to the bound, so that callers who failed together do not come back
 * together. A Retry-After is waited for first, and the jitter comes on top for the same reason.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @param tries made so far, at least 1
 */
export function waitBefore(
  tries: number,
  { baseMs, maxMs }: Backoff,
  retryAfterMs = 0,
  random: () => number = Math.random,
): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(tries - 1, 30));
  return retryAfterMs + random() * bound;
}

/**
 * Retry-After as milliseconds from now: seconds, or the date of a moment (RFC 9110, 10.2.3). Undefined for
 * nothing and for nonsense; 0 for a moment that is past.
 */
export function parseRetryAfter(value: string | null, nowMs = Date.now()): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  // Date.parse takes much else, "-1" for one.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
