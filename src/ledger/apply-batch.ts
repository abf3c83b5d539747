/**
 * One batch, one statement, one transaction, one round trip: operations are laid out as arrays for
 * the database function apply_operations (migrations/functions), and its answer is laid out as outcomes.
 */
import type { Statement } from "../database/one-value-query.ts";
import type { Writer } from "../database/writers.ts";
import { BalancectlError } from "../errors.ts";
import type { Hold } from "./holds.ts";
import type { LockWait } from "./lock-wait.ts";
import type {
  Applied,
  Operation,
  Outcome,
  Refusal,
  Refused,
  TransferOperation,
} from "./operation.ts";

export interface AppliedBatch {
  /** By operation. */
  readonly outcomes: readonly (Outcome | Undecided)[];
  /** The ids of those users. */
  readonly locked: readonly number[];
}

/**
 * Nothing was done: a user is locked, and was not waited for; or holds of the user are due, so many that not all
 * of them could be given back yet, and without them it would be refused: ask again.
 */
export type Undecided = "locked" | "later";

export interface BatchSettings {
  /** How long idempotency keys are kept, in seconds. */
  readonly keyLifetimeSeconds: number;
  /** Stands in for the database's clock; for tests. */
  readonly now: Date | null;
  readonly lockWait: LockWait;
}

/**
 * Applies the operations in order and returns an outcome for each, after the commit.
 * @throws BalancectlError DATABASE_UNAVAILABLE, ACCOUNT_LOCKED, OUTCOME_UNKNOWN or INTERNAL; `applied` says what became of it
 */
export async function applyBatch(
  writer: Writer,
  operations: readonly Operation[],
  settings: BatchSettings,
): Promise<AppliedBatch> {
  const answer =
    (await applyAlone(writer, operations, settings)) ??
    (await writer.write(applyOperations, encode(operations, settings)));
  try {
    return decode(operations, JSON.parse(answer as string));
  } catch (error) {
    // It was committed; what came back says nothing.
    throw new BalancectlError("OUTCOME_UNKNOWN", undefined, { cause: error });
  }
}

/**
 * The short way of one plain adjustment: two thirds of the time of the long way (216 us of 336).
 * @returns null when it cannot be gone, or when nothing was changed, and the long way says why
 */
async function applyAlone(
  writer: Writer,
  operations: readonly Operation[],
  settings: BatchSettings,
): Promise<string | null> {
  const [only] = operations;
  if (only === undefined || operations.length > 1 || settings.now !== null) return null;
  if (settings.lockWait !== "shared") return null;
  const { kind, userId, amount, ifVersion, minBalance, idempotency, reference, metadata, actor } =
    only;
  const more = ifVersion ?? minBalance ?? idempotency ?? reference ?? metadata;
  if (kind !== "adjustment" || more !== undefined) return null;
  const by = actor === undefined ? null : String(actor);
  return await writer.write(applyAdjustment, [String(userId), String(amount), by]);
}

const applyAdjustment: Statement = {
  name: "apply_adjustment",
  text: `
    SELECT write_receipt($4::bigint, $5::bigint,
                         apply_adjustment($1::bigint, $2::bigint, $3::integer))`,
};

/** One JSON value instead of ten columns: 60 us less of this process's time a batch. */
const applyOperations: Statement = {
  name: "apply_operations",
  text: `
    SELECT write_receipt($20::bigint, $21::bigint, row_to_json(a))
      FROM apply_operations(
             $1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::integer[], $6::uuid[],
             $7::integer[], $8::double precision[], $9::bigint[], $10::bigint[],
             $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::double precision,
             $16::timestamptz, $17::integer, $18::integer[], $19::integer[]) a`,
};

interface Answer {
  refusals?: (Refusal | keyof typeof undecided | null)[] | null;
  balances: (number | null)[];
  versions: (number | null)[];
  amounts?: (number | null)[] | null;
  refused_legs?: (number | null)[] | null;
  replays?: (boolean | null)[] | null;
  operation_ids?: (string | null)[] | null;
  created_user_ids?: (number | null)[] | null;
  times?: (number | null)[] | null;
  holds?: (HoldAnswer | null)[] | null;
  locked?: number[] | null;
  decided_at: number;
}

/** Of a capture or void: the hold as it left it, or found it closed. Times in ms since 1970. */
interface HoldAnswer {
  state: "captured" | "voided" | "expired";
  captured: number | null;
  createdAt: number;
  expiresAt: number | null;
  closedAt: number;
}

function encode(operations: readonly Operation[], settings: BatchSettings): (string | null)[] {
  const rows = operations.some(({ legs }) => legs) ? withLegs(operations) : operations;
  const users = involvedUsers(rows);
  const slots = new Map(users.map((id, index) => [id, index + 1]));
  const slot = (id: number | undefined) => (id === undefined ? undefined : slots.get(id));
  return [
    numbers(users),
    numbers(rows.map(({ userId }) => slot(userId))),
    numbers(rows.map(({ amount }) => amount)),
    texts(rows, ({ kind }) => (kind === "adjustment" ? null : kind)),
    numbers(column(rows, ({ toUserId }) => slot(toUserId))),
    texts(rows, ({ operationId }) => operationId),
    numbers(groups(operations)),
    numbers(column(rows, ({ lifetimeSeconds }) => lifetimeSeconds)),
    numbers(column(rows, ({ ifVersion }) => ifVersion)),
    numbers(column(rows, ({ minBalance }) => minBalance)),
    texts(rows, ({ idempotency }) => idempotency?.key),
    texts(rows, ({ idempotency }) => idempotency?.fingerprint),
    texts(rows, ({ reference }) => reference),
    texts(rows, ({ metadata }) => metadata && JSON.stringify(metadata)),
    String(settings.keyLifetimeSeconds),
    settings.now?.toISOString() ?? null,
    lockWaitMs(settings.lockWait),
    numbers(column(rows, ({ actor }) => actor)),
    numbers(column(rows, ({ client }) => client)),
  ];
}

function lockWaitMs(lockWait: LockWait): string | null {
  if (lockWait === "shared") return null;
  return lockWait === "none" ? "0" : String(lockWait);
}

function decode(operations: readonly Operation[], answer: Answer): AppliedBatch {
  let row = 0;
  const outcomes = operations.map((operation): Outcome | Undecided => {
    const i = row;
    row += 1 + (operation.legs?.length ?? 0);
    const refusal = answer.refusals?.[i] ?? null;
    if (refusal === null) return applied(operation, answer, i);
    return isUndecided(refusal) ? undecided[refusal] : refused(refusal, answer, i);
  });
  return { outcomes, locked: answer.locked ?? [] };
}

const undecided = { ACCOUNT_LOCKED: "locked", HOLDS_DUE: "later" } as const;

function isUndecided(refusal: string): refusal is keyof typeof undecided {
  return refusal in undecided;
}

function applied(operation: Operation, answer: Answer, i: number): Applied {
  const balance = answer.balances[i];
  const version = answer.versions[i];
  const amount = answer.amounts?.[i] ?? operation.amount;
  if (balance == null || version == null) throw new TypeError("applied, and no balance");
  return {
    refusal: null,
    balance,
    previousBalance: balance - changeBy(operation, amount ?? 0),
    version,
    amount,
    replayed: answer.replays?.[i] === true,
    operationId: answer.operation_ids?.[i] ?? operation.operationId ?? null,
    createdUserId:
      answer.created_user_ids?.[i] ?? (operation.kind === "opening" ? operation.userId : null),
    hold: holdAfter(operation, amount, answer, i),
    refusedLeg: null,
    decidedAtMs: answer.times?.[i] ?? answer.decided_at,
  };
}

/** The hold that an operation made or ended. */
function holdAfter(
  { kind, userId, operationId, lifetimeSeconds }: Operation,
  amount: number | null,
  answer: Answer,
  i: number,
): Hold | null {
  if (kind !== "hold" && kind !== "capture" && kind !== "void") return null;
  const id = answer.operation_ids?.[i] ?? operationId;
  const about = { userId, id, amount: amount as number };
  if (kind === "hold") {
    const madeMs = answer.times?.[i] ?? answer.decided_at;
    const expiresMs = lifetimeSeconds === undefined ? null : madeMs + lifetimeSeconds * 1_000;
    const open = { captured: null, state: "open", closedAt: null } as const;
    return { ...about, ...open, createdAt: new Date(madeMs), expiresAt: time(expiresMs) };
  }
  const ended = answer.holds?.[i];
  if (ended == null) throw new TypeError("a hold has ended, and nothing says how");
  return {
    ...about,
    state: ended.state,
    captured: ended.captured,
    createdAt: new Date(ended.createdAt),
    expiresAt: time(ended.expiresAt),
    closedAt: new Date(ended.closedAt),
  };
}

function time(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}

function refused(refusal: Refusal, answer: Answer, i: number): Refused {
  return {
    refusal,
    balance: answer.balances[i] ?? null,
    previousBalance: null,
    version: answer.versions[i] ?? null,
    amount: null,
    replayed: answer.replays?.[i] === true,
    operationId: null,
    createdUserId: null,
    hold: null,
    holdState: answer.holds?.[i]?.state ?? null,
    refusedLeg: answer.refused_legs?.[i] ?? null,
    decidedAtMs: answer.times?.[i] ?? answer.decided_at,
  };
}

/**
 * By how much an operation has changed what its user can spend.
 * @param amount what moved; for a capture or a void, the whole hold
 */
function changeBy(operation: Operation, amount: number): number {
  if (operation.kind === "transfer" && operation.legs !== undefined) return changeByLegs(operation);
  if (operation.kind === "transfer" || operation.kind === "hold") return -amount;
  return operation.kind === "capture" ? amount - (operation.amount ?? amount) : amount;
}

function changeByLegs({ legs = [], ...first }: TransferOperation): number {
  return [first, ...legs].reduce((change, { userId, toUserId, amount }) => {
    const paid = userId === first.userId ? amount : 0;
    return change - paid + (toUserId === first.userId ? amount : 0);
  }, 0);
}

function withLegs(operations: readonly Operation[]): Operation[] {
  return operations.flatMap((operation) => [operation, ...(operation.legs ?? [])]);
}

function involvedUsers(rows: readonly Operation[]): number[] {
  const ids = new Set<number>();
  for (const { userId, toUserId } of rows) {
    ids.add(userId);
    if (toUserId !== undefined) ids.add(toUserId);
  }
  return [...ids].sort((a, b) => a - b);
}

/** The number of its group for each row that is in one. */
function groups(operations: readonly Operation[]): (number | null)[] | null {
  if (!operations.some(({ legs }) => legs)) return null;
  return operations.flatMap(({ legs }, index) =>
    legs ? new Array<number>(legs.length + 1).fill(index) : [null],
  );
}

/** Null when no row has a value: most batches use few columns, and a null costs nothing. */
function column<T>(
  rows: readonly Operation[],
  value: (row: Operation) => T | null | undefined,
): (T | null | undefined)[] | null {
  const values = rows.map(value);
  return values.some((it) => it !== null && it !== undefined) ? values : null;
}

function numbers(values: readonly (number | null | undefined)[] | null): string | null {
  return values && `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

function texts(
  rows: readonly Operation[],
  value: (row: Operation) => string | null | undefined,
): string | null {
  const values = column(rows, value);
  return values && `{${values.map((it) => (it == null ? "NULL" : quoted(it))).join(",")}}`;
}

/** An element of an array literal: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function quoted(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;
}
