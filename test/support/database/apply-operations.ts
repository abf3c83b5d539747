/** The database function apply_operations as SQL sees it, past everything that the program adds. */
import pg from "pg";
import { afterFile } from "../cleanup.ts";

/** One operation; users by their id. What is left out is NULL. */
export interface Step {
  readonly user: number;
  /** Absent: an adjustment. */
  readonly kind?: "transfer" | "hold" | "capture" | "void" | "opening" | "touch";
  readonly amount?: number | null;
  readonly to?: number;
  /** The transfer's or the hold's. */
  readonly id?: string;
  readonly group?: number;
  readonly lifetime?: number;
  readonly ifVersion?: number;
  readonly minBalance?: number;
  readonly key?: string;
  /** Of the request; beside a key. */
  readonly fingerprint?: string;
  readonly reference?: string;
  readonly metadata?: unknown;
  /** Numbers of actor_of(). */
  readonly actor?: number;
  readonly client?: number;
}

export interface Decided {
  readonly refusal: string | null;
  readonly balance: number | null;
  readonly version: number | null;
}

/** All that can come back for one operation. */
export interface FullyDecided extends Decided {
  readonly amount: number | null;
  readonly refusedLeg: number | null;
  readonly replay: boolean | null;
  readonly operationId: string | null;
  readonly createdUserId: number | null;
  readonly timeMs: number | null;
  readonly hold: HoldState | null;
}

/** The hold of a capture or void; times in ms since 1970. */
export interface HoldState {
  readonly state: string;
  readonly captured: number | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly closedAt: number | null;
}

export interface ApplySettings {
  readonly now?: Date | string;
  readonly keyLifetimeSeconds?: number;
  readonly lockWaitMs?: number;
}

export interface ApplyFunction {
  readonly client: pg.Client;
  /** Refusal, balance and version of each operation. */
  apply(steps: readonly Step[], settings?: ApplySettings): Promise<Decided[]>;
  applyFully(steps: readonly Step[], settings?: ApplySettings): Promise<FullyDecided[]>;
  /** Before the end of the file, where something waits for the connection to be gone. */
  close(): Promise<void>;
}

/** A connection of its own, closed after the file. */
export async function openFunction(databaseUrl: string): Promise<ApplyFunction> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= client.end();
    return closed;
  };
  afterFile(close);
  const applyFully = async (steps: readonly Step[], settings: ApplySettings = {}) => {
    const { rows } = await client.query(call, encode(steps, settings));
    return decode(rows[0], steps.length);
  };
  return {
    client,
    close,
    applyFully,
    apply: async (steps, settings) =>
      (await applyFully(steps, settings)).map(({ refusal, balance, version }) => {
        return { refusal, balance, version };
      }),
  };
}

const call = `
  SELECT *
    FROM apply_operations(
           p_users => $1, p_slots => $2, p_amounts => $3, p_kinds => $4, p_to_slots => $5,
           p_operation_ids => $6, p_groups => $7, p_lifetimes => $8, p_if_versions => $9,
           p_min_balances => $10, p_keys => $11, p_fingerprints => $12, p_references => $13,
           p_metadata => $14, p_key_lifetime => $15, p_now => $16, p_lock_wait_ms => $17,
           p_actors => $18, p_clients => $19)`;

function encode(
  steps: readonly Step[],
  { now, keyLifetimeSeconds = 3_600, lockWaitMs }: ApplySettings,
) {
  const mentioned = steps.flatMap(({ user, to }) => (to === undefined ? [user] : [user, to]));
  const users = [...new Set(mentioned)].sort((a, b) => a - b);
  const slot = (id: number | undefined) => (id === undefined ? null : users.indexOf(id) + 1);
  const column = <T>(value: (step: Step) => T | null | undefined) => {
    const values = steps.map((step) => value(step) ?? null);
    return values.some((one) => one !== null) ? values : null;
  };
  return [
    users,
    steps.map(({ user }) => slot(user)),
    steps.map(({ amount }) => amount ?? null),
    column(({ kind }) => kind),
    column(({ to }) => slot(to)),
    column(({ id }) => id),
    column(({ group }) => group),
    column(({ lifetime }) => lifetime),
    column(({ ifVersion }) => ifVersion),
    column(({ minBalance }) => minBalance),
    column(({ key }) => key),
    column(({ key, fingerprint }) => fingerprint ?? (key === undefined ? null : "same")),
    column(({ reference }) => reference),
    column(({ metadata }) => metadata && JSON.stringify(metadata)),
    keyLifetimeSeconds,
    now ?? null,
    lockWaitMs ?? null,
    column(({ actor }) => actor),
    column(({ client }) => client),
  ];
}

/** Arrays may end early or be missing: the rest is null. */
function decode(row: Record<string, unknown[] | null>, count: number): FullyDecided[] {
  const at = <T>(name: string, index: number) => (row[name]?.[index] ?? null) as T | null;
  return Array.from({ length: count }, (_, i) => ({
    refusal: at<string>("refusals", i),
    balance: at<number>("balances", i),
    version: at<number>("versions", i),
    amount: at<number>("amounts", i),
    refusedLeg: at<number>("refused_legs", i),
    replay: at<boolean>("replays", i),
    operationId: at<string>("operation_ids", i),
    createdUserId: at<number>("created_user_ids", i),
    timeMs: at<number>("times", i),
    hold: at<HoldState>("holds", i),
  }));
}

/** A UUID that says which one it is. */
export function uuid(n: number): string {
  return `00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
}
