/**
 * Who may change the schema, by advisory locks of the database:
 *
 *     migrations  exclusive, by one run of migrations at a time
 *     servers     shared, by every server as long as it runs; exclusive, while a schema is reverted
 *
 * They end with their session, so a killed process leaves nothing behind. Who ends in order gives
 * them back first: the server hears of the end of a session only a moment later.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { BalancectlError } from "../errors.ts";
import { within } from "../within.ts";
import { isLent } from "./host-client.ts";

/** "balctl" and "balcsv" in ASCII; each schema has keys of its own, for ledgers that share a database. */
const migrationsLock = 0x62616c63746c;
const serversLock = 0x62616c637376;

const key = "($1::bigint # hashtextextended(coalesce(current_schema()::text, ''), 0))";

/** Longer than migrations take that somebody waits for; then it is a session that was forgotten. */
export const lockWaitMsMax = 60_000;

/** How long a stop waits for the lock to be given back. */
const givingBackMs = 2_000;

/** How long a server whose lock was lost with its connection waits before it takes it again. */
const retakeMs = 1_000;

/**
 * Waits for its turn to change the schema. Asked again and again, not queued for in the database: a
 * statement that waits there cannot be left.
 * @param waitMs how long, in milliseconds
 * @throws BalancectlError DATABASE_UNAVAILABLE that names the holder; CONFIG_INVALID where there is no session to
 * lock with; the signal's reason
 */
export async function lockMigrations(
  client: pg.Client,
  signal: AbortSignal | undefined,
  waitMs = lockWaitMsMax,
): Promise<void> {
  if (isLent(client)) {
    throw new BalancectlError(
      "CONFIG_INVALID",
      "DATABASE_URL leads through a pooler in transaction mode (PgBouncer), where a lock would stay behind in a " +
        "session that is lent to others; nothing was changed. Run it past it, straight to PostgreSQL",
    );
  }
  const deadline = Date.now() + waitMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, 200)) {
    signal?.throwIfAborted();
    if (await isGranted(client, "pg_try_advisory_lock", migrationsLock)) return;
    if (Date.now() >= deadline) break;
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
  throw new BalancectlError(
    "DATABASE_UNAVAILABLE",
    `Another session has been migrating this database for longer than ${Math.ceil(waitMs / 1_000)} s; ` +
      `nothing was changed. ${await endThem(client, migrationsLock, "It is")}`,
  );
}

export async function unlockMigrations(client: pg.Client): Promise<void> {
  await client.query(`SELECT pg_advisory_unlock(${key})`, [migrationsLock]);
}

/**
 * Keeps servers away until `unlockServers`.
 * @throws BalancectlError MIGRATION_FAILED that names them, when some run
 */
export async function lockServersOut(client: pg.Client): Promise<void> {
  if (await isGranted(client, "pg_try_advisory_lock", serversLock)) return;
  throw new BalancectlError(
    "MIGRATION_FAILED",
    "A server runs on this database: stop it first; nothing was reverted. " +
      (await endThem(client, serversLock, "Its session is")),
  );
}

export async function unlockServers(client: pg.Client): Promise<void> {
  await client.query(`SELECT pg_advisory_unlock(${key})`, [serversLock]);
}

export interface ServerLock {
  release(): Promise<void>;
}

/**
 * Tells that a server runs, until it is released. A connection that is lost is made again. Through a pooler in
 * transaction mode it cannot be told.
 * @throws BalancectlError DATABASE_UNAVAILABLE when the schema is being reverted just now
 */
export async function lockAsServer(connect: () => Promise<pg.Client>): Promise<ServerLock> {
  const released = new AbortController();
  const { signal } = released;
  let client: pg.Client | undefined;
  const take = async () => {
    const taken = await connect();
    if (isLent(taken)) return await taken.end();
    try {
      await taken.query("SET application_name = 'balancectl serve'; SET idle_session_timeout = 0");
      if (!(await isGranted(taken, "pg_try_advisory_lock_shared", serversLock))) {
        const message = "The schema of this database is being reverted; try again later. ";
        throw new BalancectlError(
          "DATABASE_UNAVAILABLE",
          message + (await endThem(taken, serversLock, "By")),
        );
      }
    } catch (error) {
      await taken.end();
      throw error;
    }
    client = taken;
    taken.once("end", retake);
  };
  const retake = async () => {
    client = undefined;
    while (client === undefined && !signal.aborted) {
      await sleep(retakeMs, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await take().catch(() => {});
    }
    if (signal.aborted) await giveBack();
  };
  const giveBack = async () => {
    const last = client;
    client = undefined;
    last?.off("end", retake);
    if (last === undefined) return;
    // The line may be dead, and nothing hang on it: the lock ends with the session.
    const given = last
      .query(`SELECT pg_advisory_unlock_shared(${key})`, [serversLock])
      .catch(() => {})
      .then(() => last.end());
    await within(givingBackMs, given);
  };
  await take();
  return {
    release: async () => {
      released.abort();
      await giveBack();
    },
  };
}

/** Sessions that hold locks on tables of the schema which is migrated, for people. */
export async function tableHolders(client: pg.Client): Promise<string> {
  const found = await holders(
    client,
    `l.relation IN (SELECT oid FROM pg_class
                     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()))`,
    [],
  );
  return found.map(({ text }) => text).join("; ");
}

async function isGranted(
  client: pg.Client,
  what: "pg_try_advisory_lock" | "pg_try_advisory_lock_shared",
  lock: number,
): Promise<boolean> {
  const { rows } = await client.query<{ got: boolean }>(`SELECT ${what}(${key}) AS got`, [lock]);
  return rows[0]?.got === true;
}

/** Who holds an advisory lock, and how they are ended by force. */
async function endThem(client: pg.Client, lock: number, who: string): Promise<string> {
  const found = await holders(
    client,
    `l.locktype = 'advisory' AND l.objsubid = 1
       AND (l.classid::bigint << 32) | l.objid::bigint = ${key}`,
    [lock],
  );
  if (found.length === 0) return "It has ended by now: try again";
  const force = found.map(({ pid }) => `SELECT pg_terminate_backend(${pid})`).join("; ");
  return `${who} ${found.map(({ text }) => text).join("; ")}. By force: ${force}`;
}

interface Holder {
  readonly pid: number;
  readonly text: string;
}

async function holders(client: pg.Client, which: string, values: unknown[]): Promise<Holder[]> {
  const { rows } = await client.query<{
    pid: number;
    user: string | null;
    application: string | null;
    address: string | null;
    since: Date | null;
  }>(
    `SELECT DISTINCT l.pid, a.usename AS "user", a.application_name AS application,
            host(a.client_addr) AS address, a.backend_start AS since
       FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
      WHERE l.granted AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ${which}
      ORDER BY l.pid`,
    values,
  );
  // What the role may not see of others is null.
  return rows.map(({ pid, user, application, address, since }) => {
    const known = [
      user && `user ${user}`,
      application && `application ${JSON.stringify(application)}`,
      `from ${address ?? "an unknown address"}`,
      since && `connected since ${since.toISOString()}`,
    ];
    return { pid, text: `process ${pid} (${known.filter(Boolean).join(", ")})` };
  });
}
