/**
 * The ledger as plain data in memory: what a balance, a hold and a key must become. It is written
 * from the rules, one operation after the other, with nothing of the program in it.
 */
import { createHash } from "node:crypto";
export interface ModelUser {
  readonly id: number;
  balance: number;
  held: number;
  version: number;
  nextExpiryMs: number | null;
  readonly createdMs: number;
  updatedMs: number;
}

export interface ModelEntry {
  readonly userId: number;
  readonly version: number;
  readonly amount: number;
  readonly balance: number;
  readonly kind: string;
  readonly operationId: string | null;
  readonly reference: string | null;
  readonly metadata: object | null;
  readonly createdMs: number;
}

export interface ModelHold {
  readonly userId: number;
  readonly id: string;
  readonly amount: number;
  captured: number | null;
  state: "open" | "captured" | "voided" | "expired";
  readonly expiresMs: number | null;
  readonly createdMs: number;
  closedMs: number | null;
}

export interface ModelKey extends Omit<Verdict, "replayed"> {
  /** The user; 0 for openings. */
  readonly scope: number;
  readonly key: string;
  readonly fingerprint: string;
  readonly kind: string;
}

export interface Ask {
  readonly kind: "adjustment" | "transfer" | "hold" | "capture" | "void" | "opening" | "touch";
  readonly userId: number;
  readonly amount: number | null;
  readonly to?: number | undefined;
  readonly id?: string | undefined;
  readonly lifetimeSeconds?: number | undefined;
  readonly ifVersion?: number | undefined;
  readonly minBalance?: number | undefined;
  readonly reference?: string | undefined;
  readonly metadata?: object | undefined;
  readonly key?: string | undefined;
  /** Equal for equal requests. */
  readonly fingerprint?: string;
  /** All of a group, the one that asks included. */
  readonly legs?: readonly Ask[];
}

export interface Verdict {
  readonly refusal: string | null;
  readonly balance: number | null;
  readonly version: number | null;
  readonly amount: number | null;
  readonly operationId: string | null;
  readonly createdUserId: number | null;
  readonly refusedLeg: number | null;
  readonly decidedMs: number;
  readonly replayed: boolean;
}

export interface Model {
  readonly users: Map<number, ModelUser>;
  readonly entries: ModelEntry[];
  readonly holds: Map<string, ModelHold>;
  readonly keys: ModelKey[];
  /** How many numbers the sequence of user ids has given. */
  idsGiven: number;
  /** How often anything was written. */
  writes: number;
}

const limit = Number.MAX_SAFE_INTEGER;
const neverKept = ["USER_NOT_FOUND", "RECIPIENT_NOT_FOUND", "HOLD_NOT_FOUND", "USER_EXISTS"];
const keyLifetimeMs = 30 * 86_400_000;

export function createModel(): Model {
  return { users: new Map(), entries: [], holds: new Map(), keys: [], idsGiven: 0, writes: 0 };
}

/** Decides one request as the ledger must, at the clock's time. */
export function decide(model: Model, ask: Ask, nowMs: number): Verdict {
  const legs = ask.legs ?? [ask];
  const involved = [...new Set(legs.flatMap(({ userId, to }) => [userId, to ?? userId]))]
    .sort((a, b) => a - b)
    .flatMap((id) => model.users.get(id) ?? []);
  for (const user of involved) expire(model, user, nowMs);

  const scope = ask.kind === "opening" ? creationScope(ask.key ?? "") : ask.userId;
  const stored = model.keys.find((one) => one.scope === scope && one.key === ask.key);
  const verdict = stored
    ? answerAgain(stored, ask, nowMs)
    : ask.legs
      ? applyAllOrNone(model, ask.legs, nowMs)
      : apply(model, ask, nowMs);
  if (ask.key !== undefined) {
    if (!stored && !neverKept.includes(verdict.refusal ?? "")) {
      const { key, fingerprint = "", kind } = ask;
      model.keys.push({ ...verdict, scope, key, fingerprint, kind });
      model.writes++;
    }
    forgetOldKeys(model, nowMs, 2 * legs.length);
  }
  return verdict;
}

function creationScope(key: string): number {
  return -1 - (createHash("sha256").update(key).digest().readUInt32BE() % 2 ** 31);
}

/** What is due goes back, each hold with the time at which it was due, but never before the user's last. */
function expire(model: Model, user: ModelUser, nowMs: number): void {
  const due = [...model.holds.values()]
    .filter((hold) => hold.userId === user.id && hold.state === "open")
    .filter(({ expiresMs }) => expiresMs !== null && expiresMs <= nowMs)
    .sort((a, b) => (a.expiresMs as number) - (b.expiresMs as number) || (a.id < b.id ? -1 : 1));
  const lastMs = user.updatedMs;
  for (const hold of due) {
    const stampMs = Math.max(hold.expiresMs as number, lastMs);
    hold.state = "expired";
    hold.closedMs = hold.expiresMs;
    user.held -= hold.amount;
    post(model, user, hold.amount, { kind: "expiry", operationId: hold.id }, nowMs, stampMs);
  }
  if (due.length > 0) lookForNextExpiry(model, user);
}

function answerAgain(stored: ModelKey, ask: Ask, nowMs: number): Verdict {
  if (stored.fingerprint === ask.fingerprint) return { ...stored, replayed: true };
  return { ...nothing(ask, nowMs), refusal: "IDEMPOTENCY_KEY_REUSED" };
}

function applyAllOrNone(model: Model, legs: readonly Ask[], nowMs: number): Verdict {
  const [first] = legs as [Ask];
  const users = structuredClone([...model.users.values()]);
  const [entryCount, writes] = [model.entries.length, model.writes];
  const verdicts: Verdict[] = [];
  for (const [index, leg] of legs.entries()) {
    const verdict = apply(model, leg, nowMs);
    if (verdict.refusal === null) {
      verdicts.push(verdict);
      continue;
    }
    for (const user of users) model.users.set(user.id, user);
    model.entries.length = entryCount;
    model.writes = writes;
    const payer = model.users.get(first.userId);
    const { refusal } = verdict;
    const { balance = null, version = null } = payer ?? {};
    return { ...nothing(first, nowMs), refusal, balance, version, refusedLeg: index + 1 };
  }
  const { balance = null, version = null } = model.users.get(first.userId) ?? {};
  return { ...(verdicts[0] as Verdict), balance, version };
}

function apply(model: Model, ask: Ask, nowMs: number): Verdict {
  const { kind, userId } = ask;
  const before = model.users.get(userId);
  const refusal = kind === "opening" ? before && "USER_EXISTS" : refuse(model, ask, before);
  let amount = ask.amount;
  if (refusal === undefined) {
    if (kind === "opening") openUser(model, userId, nowMs);
    const user = model.users.get(userId) as ModelUser;
    const hold = model.holds.get(ask.id ?? "");
    carryOut(model, ask, user, nowMs);
    if (kind === "capture" || kind === "void") amount = hold?.amount ?? null;
  }
  const { balance = null, version = null } = model.users.get(userId) ?? {};
  const createdUserId = kind === "opening" && refusal === undefined ? userId : null;
  return {
    ...nothing(ask, nowMs),
    refusal: refusal ?? null,
    balance,
    version,
    amount,
    createdUserId,
  };
}

/** Why not; undefined when nothing speaks against it. */
function refuse(model: Model, ask: Ask, user: ModelUser | undefined): string | undefined {
  const { kind, userId, to, ifVersion, minBalance = 0 } = ask;
  const payee = to === undefined ? undefined : model.users.get(to);
  const hold = model.holds.get(ask.id ?? "");
  const closes = kind === "capture" || kind === "void";
  const amount = ask.amount ?? hold?.amount ?? 0;
  if (!user) return "USER_NOT_FOUND";
  if (ifVersion !== undefined && ifVersion !== user.version) return "PRECONDITION_FAILED";
  if (to !== undefined && !payee) return "RECIPIENT_NOT_FOUND";
  if (closes) {
    if (hold?.userId !== userId) return "HOLD_NOT_FOUND";
    if (hold.state !== "open") return "HOLD_CLOSED";
    if (amount > hold.amount) return "CAPTURE_EXCEEDS_HOLD";
  }
  const left =
    kind === "adjustment"
      ? user.balance + amount
      : kind === "capture"
        ? user.balance + (hold?.amount ?? 0) - amount
        : user.balance - amount;
  if (kind !== "void" && left < minBalance) return "INSUFFICIENT_FUNDS";
  if (kind === "adjustment" && exceeds(user, amount)) return "BALANCE_LIMIT_EXCEEDED";
  if (payee && exceeds(payee, amount)) return "BALANCE_LIMIT_EXCEEDED";
  return undefined;
}

/** In exact arithmetic: the sums are beyond what a number carries. */
function exceeds({ balance, held }: ModelUser, amount: number): boolean {
  return BigInt(balance) + BigInt(held) + BigInt(amount) > BigInt(limit);
}

function openUser(model: Model, id: number, nowMs: number): void {
  const times = { nextExpiryMs: null, createdMs: nowMs, updatedMs: nowMs };
  model.users.set(id, { id, balance: 0, held: 0, version: 0, ...times });
  model.writes++;
}

function carryOut(model: Model, ask: Ask, user: ModelUser, nowMs: number): void {
  const { kind, amount: asked, to, id = null, reference, metadata } = ask;
  const context = { operationId: id, reference, metadata };
  const add = (whom: ModelUser, amount: number, as: string = kind) =>
    post(model, whom, amount, { ...context, kind: as }, nowMs);
  const payee = to === undefined ? undefined : (model.users.get(to) as ModelUser);
  const hold = model.holds.get(id ?? "");
  const amount = asked ?? hold?.amount ?? 0;
  if (kind === "adjustment" || (kind === "opening" && amount > 0)) add(user, amount);
  if (kind === "transfer" || kind === "hold") add(user, -amount);
  if (kind === "transfer" && payee) add(payee, amount);
  if (kind === "hold" && id !== null) {
    user.held += amount;
    const { lifetimeSeconds } = ask;
    const expiresMs = lifetimeSeconds === undefined ? null : nowMs + lifetimeSeconds * 1_000;
    const ending = { captured: null, state: "open", closedMs: null } as const;
    model.holds.set(id, { userId: user.id, id, amount, expiresMs, createdMs: nowMs, ...ending });
    lookForNextExpiry(model, user);
  }
  if ((kind === "capture" || kind === "void") && hold) {
    user.held -= hold.amount;
    hold.state = kind === "void" ? "voided" : "captured";
    hold.captured = kind === "void" ? null : amount;
    hold.closedMs = nowMs;
    add(user, hold.amount, kind === "void" ? "void" : "release");
    if (kind === "capture") add(user, -amount);
    if (payee) add(payee, amount);
    lookForNextExpiry(model, user);
  }
}

function post(
  model: Model,
  user: ModelUser,
  amount: number,
  about: {
    kind: string;
    operationId: string | null;
    reference?: string | undefined;
    metadata?: object | undefined;
  },
  nowMs: number,
  stampMs: number | null = null,
): void {
  user.balance += amount;
  user.version += 1;
  // Time never goes back for a user.
  user.updatedMs = Math.max(nowMs, user.updatedMs);
  const { kind, operationId, reference = null, metadata = null } = about;
  const { id: userId, balance, version } = user;
  const createdMs = stampMs ?? user.updatedMs;
  const what = { userId, version, amount, balance, kind, operationId };
  model.entries.push({ ...what, reference, metadata, createdMs });
  model.writes++;
}

function lookForNextExpiry(model: Model, user: ModelUser): void {
  const open = [...model.holds.values()].filter(
    (hold) => hold.userId === user.id && hold.state === "open",
  );
  const times = open.flatMap(({ expiresMs }) => expiresMs ?? []);
  user.nextExpiryMs = times.length > 0 ? Math.min(...times) : null;
}

/** The oldest first, as many as `countMax`, of those past their lifetime. */
function forgetOldKeys(model: Model, nowMs: number, countMax: number): void {
  const old = model.keys
    .filter(({ decidedMs }) => decidedMs < nowMs - keyLifetimeMs)
    .sort((a, b) => a.decidedMs - b.decidedMs)
    .slice(0, countMax);
  for (const one of old) model.keys.splice(model.keys.indexOf(one), 1);
  model.writes += old.length;
}

function nothing({ amount, id }: Ask, decidedMs: number): Verdict {
  const none = { refusal: null, balance: null, version: null, createdUserId: null };
  return { ...none, amount, operationId: id ?? null, refusedLeg: null, decidedMs, replayed: false };
}
