/**
 * Re-derives everything from the journal and reports what does not agree. One snapshot (REPEATABLE
 * READ), so it works while servers write; the database does the arithmetic in steps of bounded
 * size, so neither side needs memory for the whole.
 */
import pg from "pg";
import { type Alteration, findAlterations } from "../database/alterations.ts";
import { hostClients } from "../database/host-client.ts";
import { watchful } from "../database/session.ts";
import { translateError } from "../database/translate-error.ts";
import {
  type Check,
  guardCheck,
  paymentCheck,
  transferCheck,
  userChecks,
} from "./verify-checks.ts";

export interface Finding {
  /** Null when it is about the database as a whole. */
  readonly userId: number | null;
  readonly version: number | null;
  readonly check: string;
  readonly expected: string;
  readonly found: string;
}

export interface Verification {
  readonly ok: boolean;
  /** How many were looked at; a user that does not exist counts as none. */
  readonly users: number;
  readonly entries: number;
  /** The first of each user, at most findingsMax. */
  readonly findings: readonly Finding[];
}

export interface VerifyOptions {
  /** Only this user. */
  readonly userId?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((checkedEntries: number, entries: number) => void) | undefined;
}

/** Entries (and users) a step: about a second of work, some megabytes of sorting at most. */
const stepSize = 200_000;
const findingsMax = 1_000;
/** Below every id: also entries under ids that no user can have are looked at. */
const idMin = Number.MIN_SAFE_INTEGER;

/** @throws BalancectlError DATABASE_UNAVAILABLE; the signal's reason when aborted */
export async function verify(url: string, options: VerifyOptions = {}): Promise<Verification> {
  const client = hostClients(url).newClient({
    application_name: "balancectl verify",
    settings: { needed: {}, known: watchful },
    types: lenientTypes,
  });
  try {
    await client.connect();
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    // A long read: no time limit, and no JIT, which costs more than it brings here.
    await client.query("SET LOCAL statement_timeout = 0; SET LOCAL jit = off");
    return await verifySnapshot(client, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw translateError(error);
  } finally {
    await client.end();
  }
}

/** Numbers as numbers, even beyond what is exact: a corrupt one must be reported, not trip us. */
const lenientTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format),
};

async function verifySnapshot(
  client: pg.Client,
  { userId, signal, onProgress }: VerifyOptions,
): Promise<Verification> {
  const findings = new Map<string, Finding>();
  const add = (name: string, rows: readonly Row[]) => {
    for (const { user_id, version, expected, found } of rows) {
      // One finding a user: the first check that fails is the nearest to the cause.
      const key = user_id === null ? `${name} ${expected}` : String(user_id);
      if (findings.size >= findingsMax || findings.has(key)) continue;
      findings.set(key, { userId: user_id, version, check: name, expected, found });
    }
  };
  const steps = userId === undefined ? await plan(client) : await planFor(client, userId);
  const total = steps.reduce((sum, { entriesPromised }) => sum + entriesPromised, 0);
  let checked = 0;
  for (const { after, last } of steps) {
    for (const check of userChecks) {
      signal?.throwIfAborted();
      add(check.name, await rowsOf(client, check, [after, last]));
    }
    const { rows } = await client.query<{ count: number }>(
      "SELECT count(*) FROM entries WHERE user_id > $1 AND user_id <= $2",
      [after, last],
    );
    checked += rows[0]?.count ?? 0;
    onProgress?.(checked, total);
  }
  const wholeChecks =
    userId === undefined ? [transferCheck, paymentCheck, guardCheck] : [guardCheck];
  for (const check of wholeChecks) {
    signal?.throwIfAborted();
    add(check.name, await rowsOf(client, check, []));
  }
  for (const one of await findAlterations(client)) add(one.what, [rowOf(one)]);
  const users = steps.reduce((sum, step) => sum + step.users, 0);
  const found = [...findings.values()];
  return { ok: found.length === 0, users, entries: checked, findings: found };
}

/** A function or a migration that is not as this program ships it. */
function rowOf({ what, name, migration, found }: Alteration): Row {
  const expected =
    what === "function" ? `${name}() as ${migration} makes it` : `${name} as it is shipped`;
  return { user_id: null, version: null, expected, found };
}

interface Row {
  user_id: number | null;
  version: number | null;
  expected: string;
  found: string;
}

async function rowsOf(client: pg.Client, { sql }: Check, range: number[]): Promise<Row[]> {
  const { rows } = await client.query<Row>(`SELECT * FROM (${sql}) f LIMIT ${findingsMax}`, range);
  return rows;
}

/** A range of user ids, after < id <= last, and what is in it. */
interface Step {
  readonly after: number;
  readonly last: number;
  readonly users: number;
  /** By the users' versions; for the progress and the size of the step. */
  readonly entriesPromised: number;
}

/** Cuts all ids into ranges of about stepSize entries, by what the users' versions promise. */
async function plan(client: pg.Client): Promise<Step[]> {
  const { rows } = await client.query<Omit<Step, "after">>(
    `SELECT max(id) AS last, count(*) AS users, sum(version)::double precision AS "entriesPromised"
       FROM (SELECT id, version, sum(version::numeric + 1) OVER (ORDER BY id) AS so_far FROM users) u
      GROUP BY ceil(so_far / $1)
      ORDER BY 1`,
    [stepSize],
  );
  const steps = rows.map((row, index) => ({ ...row, after: rows[index - 1]?.last ?? idMin }));
  // Entries beyond the last user belong to nobody: a last step that finds them.
  const after = rows.at(-1)?.last ?? idMin;
  return [...steps, { after, last: Number.MAX_SAFE_INTEGER, users: 0, entriesPromised: 0 }];
}

async function planFor(client: pg.Client, userId: number): Promise<Step[]> {
  const { rows } = await client.query<{ version: number }>(
    "SELECT version FROM users WHERE id = $1",
    [userId],
  );
  const entriesPromised = rows[0]?.version ?? 0;
  return [{ after: userId - 1, last: userId, users: rows.length, entriesPromised }];
}
