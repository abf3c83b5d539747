/** Writes as a client sends them, and the whole answer that the model expects for each. */
import { type Ask, decide, type Model, type ModelHold, type Verdict } from "./ledger-model.ts";
import { holdView } from "./read-model.ts";

/** One write, whole: what is needed to send it, and to send it again. */
export interface Write {
  readonly kind: "adjustment" | "opening" | "transfer" | "batch" | "hold" | "capture" | "void";
  /** Of the path. */
  readonly userId?: number;
  readonly holdId?: string;
  readonly body: WriteBody;
  readonly key?: string | undefined;
  /** For If-Match. */
  readonly version?: number | undefined;
}

export interface WriteBody {
  readonly id?: number;
  readonly balance?: number;
  readonly amount?: number;
  readonly from?: number;
  readonly to?: number;
  readonly expiresIn?: number;
  readonly minBalance?: number;
  readonly reference?: string;
  readonly metadata?: object;
  readonly transfers?: readonly WriteBody[];
}

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What is compared of an answer: its status, its body and the headers that mean something. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly etag?: string;
  readonly location?: string;
  readonly replayed?: string;
}

export function writeRequest({ kind, userId, holdId, body, key, version }: Write): ApiRequest {
  const path = {
    adjustment: `/users/${userId}/balance`,
    opening: "/users",
    transfer: "/transfers",
    batch: "/transfers/batch",
    hold: `/users/${userId}/holds`,
    capture: `/users/${userId}/holds/${holdId}/capture`,
    void: `/users/${userId}/holds/${holdId}/void`,
  }[kind];
  return {
    method: kind === "adjustment" ? "PUT" : "POST",
    path: `/api${path}`,
    headers: {
      "content-type": "application/json",
      ...(key !== undefined && { "idempotency-key": key }),
      ...(version !== undefined && { "if-match": `"v${version}"` }),
    },
    body: JSON.stringify(body),
  };
}

/**
 * Decides the write in the model.
 * @param givenId the id that the server's answer gives to a new transfer or hold
 */
export function expectedAnswer(
  model: Model,
  write: Write,
  clockMs: number,
  givenId: string | undefined,
): ApiAnswer {
  if (write.kind !== "opening") {
    return shown(model, write, decide(model, asked(write, givenId), clockMs));
  }
  const { id } = write.body;
  for (;;) {
    // Without an id the next number is taken, and the one after it where somebody has that already.
    const userId = id ?? ++model.idsGiven;
    const verdict = decide(model, { ...asked(write, undefined), userId }, clockMs);
    if (id !== undefined || verdict.refusal !== "USER_EXISTS") return shown(model, write, verdict);
  }
}

/** The nth id of a batch: the first one's, with n in its last four digits. */
export function nthId(first: string, n: number): string {
  return first.slice(0, -4) + n.toString(16).padStart(4, "0");
}

function asked(write: Write, givenId: string | undefined): Ask {
  const { kind, body, holdId, key, version } = write;
  const { path } = writeRequest(write);
  const guards = {
    key,
    ifVersion: version,
    fingerprint: JSON.stringify([path, sorted(body), version]),
  };
  if (kind === "batch") {
    const legs = (body.transfers ?? []).map((leg, index) =>
      oneAsk("transfer", leg, givenId && nthId(givenId, index)),
    );
    const first = { ...(legs[0] as Ask), ifVersion: version };
    return { ...first, ...guards, legs: [first, ...legs.slice(1)] };
  }
  return { ...oneAsk(kind, body, holdId ?? givenId, write.userId), ...guards };
}

function oneAsk(
  kind: Ask["kind"],
  body: WriteBody,
  id: string | undefined,
  userId = body.from ?? body.id ?? 0,
): Ask {
  const { amount, balance, to, expiresIn: lifetimeSeconds, minBalance, reference, metadata } = body;
  const context = { minBalance, reference, metadata };
  return { kind, userId, to, id, lifetimeSeconds, amount: amount ?? balance ?? null, ...context };
}

function shown(model: Model, write: Write, verdict: Verdict): ApiAnswer {
  const replayed = verdict.replayed ? { replayed: "true" } : {};
  if (verdict.refusal !== null) return { ...refusal(model, write, verdict), ...replayed };
  const { data, ...rest } = success(model, write, verdict);
  return { ...rest, body: { success: true, data }, ...replayed };
}

function success(
  model: Model,
  { kind, userId = 0, body }: Write,
  { balance, version, amount, operationId: id, createdUserId, decidedMs }: Verdict,
) {
  const { from, to } = body;
  const iso = (ms: number) => new Date(ms).toISOString();
  const ended = { id, userId, amount };
  switch (kind) {
    case "adjustment": {
      const previousBalance = (balance as number) - (amount as number);
      const data = { id: userId, balance, previousBalance, amount };
      return { status: 200, data, etag: `"v${version}"` };
    }
    case "opening":
      return {
        status: 201,
        data: { id: createdUserId, balance: amount },
        location: `/api/users/${createdUserId}`,
      };
    case "transfer":
      return {
        status: 201,
        data: { id, from, to, amount, balance },
        location: `/api/transfers/${id}`,
      };
    case "batch": {
      const transfers = (body.transfers ?? []).map((leg, index) => {
        return { id: nthId(id as string, index), from: leg.from, to: leg.to, amount: leg.amount };
      });
      return { status: 201, data: { transfers } };
    }
    case "hold": {
      const { expiresIn } = body;
      const expiry =
        expiresIn === undefined ? {} : { expiresAt: iso(decidedMs + expiresIn * 1_000) };
      const data = { ...ended, state: "open", ...expiry, createdAt: iso(decidedMs), balance };
      return { status: 201, data, location: `/api/users/${userId}/holds/${id}` };
    }
    case "capture":
    case "void": {
      const hold = model.holds.get(id as string) as ModelHold;
      const released = hold.amount - (hold.captured ?? 0);
      const payee = to === undefined ? {} : { to };
      return { status: 200, data: { ...holdView(hold), released, ...payee, balance } };
    }
  }
}

const refusals: Readonly<Record<string, [status: number, message: string]>> = {
  USER_EXISTS: [409, ""],
  USER_NOT_FOUND: [404, ""],
  HOLD_NOT_FOUND: [404, "Hold not found"],
  HOLD_CLOSED: [409, ""],
  PRECONDITION_FAILED: [
    412,
    "The user has changed since: the version is not the one that If-Match names",
  ],
  INSUFFICIENT_FUNDS: [422, "Insufficient funds for this operation"],
  BALANCE_LIMIT_EXCEEDED: [422, "The balance would exceed 9007199254740991"],
  CAPTURE_EXCEEDS_HOLD: [422, "The capture is larger than the hold"],
  IDEMPOTENCY_KEY_REUSED: [422, "This Idempotency-Key was used before with a different request"],
};

function refusal(model: Model, write: Write, verdict: Verdict): ApiAnswer {
  const { refusal: reason = "", refusedLeg } = verdict;
  const code = reason === "RECIPIENT_NOT_FOUND" ? "USER_NOT_FOUND" : (reason as string);
  const [status = 500, text = ""] = refusals[code] ?? [];
  const leg = write.body.transfers?.[(refusedLeg ?? 1) - 1] ?? write.body;
  const prefix = refusedLeg === null ? "" : `transfers.${refusedLeg - 1}: `;
  const whom = write.userId ?? leg.from ?? leg.id;
  const about: Readonly<Record<string, string>> = {
    USER_NOT_FOUND: `User ${whom} not found`,
    RECIPIENT_NOT_FOUND: `User ${leg.to} (to) not found`,
    USER_EXISTS: `User ${whom} exists already`,
    HOLD_CLOSED: `The hold is ${model.holds.get(write.holdId ?? "")?.state}`,
  };
  const words = keepsTooLittle(write, verdict) ? "Less than minBalance would be left" : text;
  const message = prefix + (about[reason as string] ?? words);
  return { status, body: { success: false, error: { code, message } } };
}

/** There was enough, and less than minBalance would be left; of a batch it is known of the first transfer alone. */
function keepsTooLittle({ kind, body }: Write, { refusal, refusedLeg, balance }: Verdict): boolean {
  const asked = refusedLeg === null ? body : refusedLeg === 1 ? body.transfers?.[0] : undefined;
  if (refusal !== "INSUFFICIENT_FUNDS" || asked?.minBalance === undefined) return false;
  const amount = asked.amount ?? 0;
  const cost = kind === "adjustment" ? -amount : kind === "capture" ? 0 : amount;
  return balance !== null && balance >= cost;
}

/** The order of keys in an object means nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value).sort();
  return keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]);
}
