/**
 * The lease on the server: who uses it holds a shared advisory lock on a connection of its own. A
 * lock lasts exactly as long as its connection, so a killed process is no longer counted, and there
 * is no file to go stale.
 *
 *     connecting --shared lock--> held --leave--> released, and then
 *                                  |              exclusive lock got: last one out, stops the server
 *                                  |              not got: others are in
 *                                  +--connection lost, server alive--> held again
 *                                  +--connection lost, server gone---> over
 *
 * A newcomer whose shared lock waits on a leaver's exclusive one is cut off when the server goes
 * down, and starts over.
 */
import { realpath } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QuietClient } from "../quiet-client.ts";
import { databaseName, readPassword } from "./cluster.ts";
import type { Place } from "./place.ts";
import { type FoundServer, findServer, type ServerAddress } from "./server.ts";
import type { ShortPaths } from "./short-path.ts";

/** The bytes "balancec": a key of the advisory locks of the database `balancectl`. */
const leaseKey = "7089066454177506659";

/** How long a lost connection is tried again: a server recovers from a crashed backend in less. */
const retakeMsMax = 30_000;

/** pg has these two, its types do not. */
type Client = QuietClient & { ref(): void; unref(): void };

/** One server: another one of the same cluster has another process. */
interface Address extends ServerAddress {
  readonly password: string;
  readonly postmasterPid: number;
}

export interface Lease extends Address {
  /** Resolves when the server is gone, or has taken no connection for too long, and we had not left. */
  readonly over: Promise<void>;
  /** Gives it back; `stop` is called if nobody else holds one, and nobody gets one meanwhile. */
  readonly leave: (stop: () => Promise<void>) => Promise<void>;
}

/** Either the lease, or why there is none: the SQLSTATE, the socket's error code, or a word of ours. */
export type LeaseAttempt =
  | { readonly lease: Lease }
  | { readonly lease?: undefined; readonly code: string };

/** One try. Every failure is an answer, as the caller knows better what it means just now. */
export async function takeLease(
  place: Place,
  found: FoundServer,
  paths: ShortPaths,
): Promise<LeaseAttempt> {
  try {
    const password = await readPassword(place);
    if (password === undefined) return { code: "NO_PASSWORD" };
    if (!found.address) return { code: "NO_ADDRESS" };
    const { host, port } = found.address;
    const reached = isAbsolute(host) ? paths.of(host) : host;
    const address = { host: reached, port, password, postmasterPid: found.pid };
    const client = await connectLocked(place, address);
    const held = hold(client, (isLeaving) => retake(place, address, isLeaving));
    return { lease: { ...address, ...held } };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return { code: code ?? message };
  }
}

/** Keeps the lock through lost connections until it is given back. */
function hold(
  first: Client,
  again: (isLeaving: () => boolean) => Promise<Client | undefined>,
): Pick<Lease, "leave" | "over"> {
  let client: Client | undefined;
  let leaving = false;
  let end: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  let retaking: Promise<void> | undefined;
  const keep = (taken: Client | undefined) => {
    client = taken;
    if (taken === undefined && !leaving) end();
    // It waits for nothing, so it is no reason for the process to live.
    taken?.unref();
    taken?.once("end", () => {
      client = undefined;
      if (!leaving) retaking = again(() => leaving).then(keep);
    });
  };
  keep(first);
  const leave: Lease["leave"] = async (stop) => {
    leaving = true;
    await retaking;
    if (!client) return;
    const last = client;
    last.ref();
    try {
      if (await unlock(last)) await stop();
    } finally {
      await last.end();
    }
  };
  return { leave, over };
}

/** Whether we were the last. A connection that is lost here took its lock and its server with it. */
async function unlock(client: Client): Promise<boolean> {
  try {
    await client.query("SELECT pg_advisory_unlock_shared($1::bigint)", [leaseKey]);
    const { rows } = await client.query<{ last: boolean }>(
      "SELECT pg_try_advisory_lock($1::bigint) AS last",
      [leaseKey],
    );
    return rows[0]?.last === true;
  } catch {
    return false;
  }
}

/** The lock again, of the same server. Without it the next to leave would stop it under our feet. */
async function retake(
  place: Place,
  address: Address,
  isLeaving: () => boolean,
): Promise<Client | undefined> {
  const deadline = Date.now() + retakeMsMax;
  do {
    const now = await findServer(place).catch(() => undefined);
    if (now?.pid !== address.postmasterPid || now.process === "gone") return undefined;
    const client = await connectLocked(place, address).catch(() => undefined);
    if (client) return client;
    await sleep(50);
  } while (!isLeaving() && Date.now() < deadline);
  return undefined;
}

/** @throws what went wrong, also if the server that answers is not that of this cluster. */
async function connectLocked(place: Place, address: Address): Promise<Client> {
  const client = await connect(address, databaseName).catch(async (error) => {
    if (error.code !== "3D000") throw error;
    await createDatabase(address);
    return connect(address, databaseName);
  });
  try {
    const { rows } = await client.query<{ data: string }>(
      "SELECT current_setting('data_directory') AS data",
    );
    const data = rows[0]?.data ?? "";
    const isOurs = (await realpath(data)) === (await realpath(place.data));
    if (!isOurs) throw new Error(`It is the server of ${data}`);
    await client.query("SELECT pg_advisory_lock_shared($1::bigint)", [leaseKey]);
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}

async function createDatabase(address: Address): Promise<void> {
  const client = await connect(address, "postgres");
  try {
    await client.query(`CREATE DATABASE ${databaseName}`);
  } catch (error) {
    // Somebody else was quicker: "duplicate_database", or "unique_violation" if at the same moment.
    const { code } = error as { code?: string };
    if (code !== "42P04" && code !== "23505") throw error;
  } finally {
    await client.end();
  }
}

async function connect({ host, port, password }: Address, database: string): Promise<Client> {
  const client = new QuietClient({
    host,
    port,
    user: databaseName,
    password,
    database,
    ssl: false,
    auth: ["scram-sha-256"],
    application_name: "balancectl lease",
    connectionTimeoutMillis: 5_000,
    // Waits are short, so that a caller who is told to give up does; idling is not limited. Said
    // here, these win over PGOPTIONS and over the configuration.
    options: "-c lock_timeout=1000 -c statement_timeout=0 -c idle_session_timeout=0",
    query_timeout: 10_000,
  }) as Client;
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}
