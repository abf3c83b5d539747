/**
 * The door: who a request is from, by its token. What the database knows of tokens is looked at once a second, by its
 * version, on a connection of its own, so that neither load nor a pooler keeps a revocation from being seen; a request
 * costs a hash and a look-up in memory.
 *
 *     open ──the first token is made, or one is in the settings──▶ closed, for good
 *     closed ──the database could not be asked for 30 s──▶ refuses everybody ──it can again──▶ closed
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Writer } from "../database/writers.ts";
import type { AnswerCode } from "../errors.ts";
import { digestOf, isWhole, looksLikeOurs, type SettingToken } from "../token.ts";
import { anonymous, type Caller } from "./caller.ts";
import { limitFailures, limitRate, type RateLimit } from "./throttle.ts";
import { type KnownToken, readTokens } from "./token-store.ts";

export interface Access {
  /**
   * @param authorization the header
   * @param address of who asks; called only where something is wrong
   */
  ask(authorization: string | undefined, address: () => string): Caller | Denial;
  /** Whether requests without a token are answered. */
  readonly isOpen: boolean;
  /** Whether that is so because somebody has said that it be. */
  readonly allowsAnonymous: boolean;
  close(): void;
}

/** Nobody comes in by this. */
export interface Denial {
  readonly code: AnswerCode;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The door of who has none. */
export const openToAll: Access = {
  ask: () => anonymous,
  isOpen: true,
  allowsAnonymous: false,
  close: () => {},
};

export function isDenial(answer: Caller | Denial): answer is Denial {
  return "code" in answer;
}

export interface AccessOptions {
  /** Of a connection that nothing else waits for. */
  readonly writer: Writer;
  /** From the settings; their secrets are kept as digests. */
  readonly tokens: readonly SettingToken[];
  /** Answer also whoever shows no token. */
  readonly allowAnonymous: boolean;
  /** Told once a minute how many were not let in, when there were any. */
  readonly onFailures: (sum: { failures: number; addresses: number }) => void;
}

/** Between two looks at the version: half of the 5 s after which a revoked token opens nothing, and then some. */
const lookEveryMs = 1_000;
/** How long what is known holds when the database cannot be asked. */
const keptMs = 30_000;
const failuresEveryMs = 60_000;

interface Known extends Caller {
  readonly expiresAtMs: number | null;
  readonly limit: RateLimit | null;
}

/** @throws BalancectlError DATABASE_UNAVAILABLE when it cannot be asked in the beginning */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { writer, allowAnonymous, onFailures } = options;
  const fromSettings = new Map<string, Known>();
  for (const { client, scope, digest } of options.tokens) {
    const actor = await numberOf(writer, "token", client);
    const number = await numberOf(writer, "client", client);
    fromSettings.set(digest, knownOf({ id: client, scope, actor, clientNumber: number }));
  }
  const failures = limitFailures();
  const over = new AbortController();
  let known = fromSettings;
  let version = -1;
  let closed = fromSettings.size > 0;
  let askedAt = 0;

  async function look(): Promise<void> {
    const found = await readTokens(writer, version);
    askedAt = performance.now();
    if (found.tokens === null) return;
    const stored = found.tokens.map((token) => [token.digest, knownOf(token)] as const);
    known = new Map([...fromSettings, ...stored]);
    version = found.version;
    closed ||= found.closed;
  }

  async function keepLooking(): Promise<void> {
    for (;;) {
      await sleep(lookEveryMs, undefined, { signal: over.signal, ref: false });
      await look().catch(() => {});
    }
  }

  await look();
  keepLooking().catch(() => {});
  const telling = setInterval(() => {
    const sum = failures.take();
    if (sum.failures > 0) onFailures(sum);
  }, failuresEveryMs).unref();

  function refuse(address: () => string, message: string, error: string): Denial {
    const from = address();
    // Who shows none does not guess.
    const waitMs = error === "" ? 0 : failures.waitMs(from);
    if (waitMs > 0) return tooMany(waitMs, tooManyFailures);
    failures.failed(from, error !== "");
    const challenge = error === "" ? challenges : `${challenges}, error="${error}"`;
    return { code: "UNAUTHORIZED", message, headers: { "WWW-Authenticate": challenge } };
  }

  return {
    ask: (authorization, address) => {
      if (!closed) return anonymous;
      if (authorization === undefined) {
        return allowAnonymous ? anonymous : refuse(address, noToken, "");
      }
      const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
      if (token === undefined) return refuse(address, noBearer, "invalid_request");
      const found = known.get(digestOf(token));
      if (found === undefined) {
        const isCut = looksLikeOurs(token) && !isWhole(token);
        return refuse(address, isCut ? cutToken : unknownToken, "invalid_token");
      }
      if (found.expiresAtMs !== null && found.expiresAtMs <= Date.now()) {
        return refuse(address, expiredToken, "invalid_token");
      }
      if (performance.now() - askedAt > keptMs) return outOfDate;
      const waitMs = found.limit?.take() ?? 0;
      return waitMs > 0 ? tooFast(waitMs, found.limit as RateLimit) : found;
    },
    allowsAnonymous: allowAnonymous,
    get isOpen() {
      return !closed || allowAnonymous;
    },
    close: () => {
      over.abort();
      clearInterval(telling);
    },
  };
}

type TokenParts = Pick<KnownToken, "id" | "scope" | "actor" | "clientNumber"> &
  Partial<Pick<KnownToken, "userIds" | "rate" | "expiresAtMs">>;

function knownOf({ id, scope, actor, clientNumber, ...more }: TokenParts): Known {
  const { userIds = null, rate = null, expiresAtMs = null } = more;
  return {
    ...{ token: id, right: scope, actor, expiresAtMs },
    userIds: userIds && new Set(userIds),
    client: scope === "admin" ? undefined : clientNumber,
    limit: rate === null ? null : limitRate(rate),
  };
}

async function numberOf(writer: Writer, kind: string, name: string): Promise<number> {
  return Number(await writer.query(actorOf, [kind, name]));
}

const actorOf = { name: "actor_of", text: "SELECT actor_of($1, $2)" };

function tooMany(waitMs: number, message: string, more: Denial["headers"] = {}): Denial {
  const headers = { "Retry-After": String(Math.ceil(waitMs / 1_000)), ...more };
  return { code: "RATE_LIMITED", message, headers };
}

/** With the headers of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ */
function tooFast(waitMs: number, { rate }: RateLimit): Denial {
  return tooMany(waitMs, `This token may make ${rate} requests a second`, {
    "RateLimit-Policy": `"token";q=${rate};w=1`,
    RateLimit: `"token";r=0;t=${Math.ceil(waitMs / 1_000)}`,
  });
}

const challenges = 'Bearer realm="balancectl"';
const noToken = "This server asks for a token: Authorization: Bearer bctl_...";
const noBearer = "Authorization must be Bearer and a token: Authorization: Bearer bctl_...";
const cutToken = "This token was cut or mistyped: its checksum does not fit";
const unknownToken = "This token is not known here, or was revoked";
const expiredToken = "This token has expired";
const tooManyFailures = "Too many requests with wrong tokens came from this address";

const outOfDate: Denial = {
  code: "DATABASE_UNAVAILABLE",
  message:
    "The database could not be asked for 30 s which tokens are still good; nothing was changed",
  headers: { "Retry-After": "1" },
};
