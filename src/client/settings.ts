import type { Backoff } from "./backoff.ts";
import type { BalanceError } from "./balance-error.ts";

export interface ClientOptions {
  /** Where the server is, like https://balances.example.com, or with the path that a proxy has it under. */
  readonly url: string | URL;
  /** Sent as a bearer token. A function is asked before each try, so that it can be a fresh one. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Instead of the one that is built in. */
  readonly fetch?: Fetch | undefined;
  /** For a call with all its tries: 60 s. Infinity for no bound. */
  readonly timeoutMs?: number | undefined;
  /** For each try: 15 s, which is more than a server takes to give up on its database. */
  readonly tryTimeoutMs?: number | undefined;
  /** How often a call is sent at most: 10. 1 for never again. */
  readonly triesMax?: number | undefined;
  /** Between tries: at most 100 ms, then 200, up to 5 s. */
  readonly backoff?: Partial<Backoff> | undefined;
  /** A server that asks for a longer wait (Retry-After) is not waited for: 30 s. */
  readonly retryAfterMaxMs?: number | undefined;
  /** Told of each try that is made again, before the wait. */
  readonly onRetry?: ((retry: Retry) => void) | undefined;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Retry {
  /** What the last try came to. */
  readonly error: BalanceError;
  /** Made so far. */
  readonly tries: number;
  readonly waitMs: number;
}

/** The options, checked and complete. */
export interface Settings {
  readonly url: string;
  readonly token: ClientOptions["token"];
  readonly fetch: Fetch;
  readonly timeoutMs: number;
  readonly tryTimeoutMs: number;
  readonly triesMax: number;
  readonly backoff: Backoff;
  readonly retryAfterMaxMs: number;
  readonly onRetry: ClientOptions["onRetry"];
}

/** @throws TypeError for a URL that cannot be; RangeError for a number that cannot */
export function settingsOf(options: ClientOptions): Settings {
  const { baseMs = 100, maxMs = 5_000 } = options.backoff ?? {};
  return {
    url: baseOf(String(options.url)),
    token: options.token,
    // Looked for at each call, and called without an object before it, which browsers refuse.
    fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
    timeoutMs: atLeast(0, "timeoutMs", options.timeoutMs ?? 60_000),
    tryTimeoutMs: atLeast(0, "tryTimeoutMs", options.tryTimeoutMs ?? 15_000),
    triesMax: atLeast(1, "triesMax", options.triesMax ?? 10),
    backoff: {
      baseMs: atLeast(0, "backoff.baseMs", baseMs),
      maxMs: atLeast(0, "backoff.maxMs", maxMs),
    },
    retryAfterMaxMs: atLeast(0, "retryAfterMaxMs", options.retryAfterMaxMs ?? 30_000),
    onRetry: options.onRetry,
  };
}

/** Paths are put behind it. In a browser "" or "/balances" is a place on the page's own origin. */
function baseOf(text: string): string {
  const base = text.replace(/\/+$/, "");
  if ("document" in globalThis && (base === "" || /^\/[^/]/.test(base))) return base;
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new TypeError(`url must be an http or https URL (it is ${JSON.stringify(text)})`);
  }
  if (url.username || url.password) throw new TypeError("url must have no user and password in it");
  if (url.search || url.hash) throw new TypeError("url must end before any ? and #");
  return base;
}

export function atLeast(min: number, name: string, value: number): number {
  if (typeof value === "number" && value >= min) return value;
  throw new RangeError(`${name} must be a number from ${min} on (it is ${value})`);
}
