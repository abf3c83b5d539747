/** Changes that are under way for as long as a test wants: their user's row is locked by somebody. */
import { once } from "node:events";
import pg from "pg";
import { afterFile } from "../cleanup.ts";
import { openSocket, readToEnd } from "../http/raw.ts";
import { psql } from "./database.ts";

/** Settings of a server that waits for a lock, and for what is in flight, as long as it takes. */
export const patient = {
  BALANCECTL_LOCK_TIMEOUT_MS: "60000",
  BALANCECTL_STATEMENT_TIMEOUT_MS: "60000",
  BALANCECTL_DRAIN_TIMEOUT_MS: "60000",
};

/** Locks a user's row as a person in psql does, until `release`. */
export async function lockUser(url: string, userId: number): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT FROM users WHERE id = $1 FOR UPDATE", [userId]);
  let released: Promise<void> | undefined;
  const release = () => {
    released ??= client.end();
    return released;
  };
  afterFile(release);
  return { release };
}

/** Until so many of the program's backends wait for a lock. */
export async function untilLockIsWaitedFor(url: string, count = 1): Promise<void> {
  const waiting = () =>
    psql(
      url,
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name ~ '^balancectl( lane \\d+)?$'
          AND wait_event_type = 'Lock'`,
    );
  while ((await waiting()).length !== count);
}

/** A connection that the server closes as soon as it drains, since it is idle. */
export async function openIdle(url: string): Promise<{ closed: Promise<unknown> }> {
  const socket = await openSocket(url);
  const closed = readToEnd(socket);
  socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(socket, "data");
  return { closed };
}
