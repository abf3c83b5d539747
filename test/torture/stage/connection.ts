/** Queries of ours, past the servers under test. */
import pg from "pg";

export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    // What the faults set is not for those who have to take it back.
    options: "-c idle_session_timeout=0 -c default_transaction_read_only=off",
  });
  // What a fault does to it is seen by whoever asks it next.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** On a connection of its own. */
export async function query<T extends pg.QueryResultRow = pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<T[]> {
  const client = await connect(url);
  try {
    return (await client.query<T>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** Until it says yes, or the time is over. @returns whether it did */
export async function until(
  yes: () => Promise<boolean> | boolean,
  milliseconds: number,
): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (performance.now() < deadline) {
    if (await yes()) return true;
    await pause(20);
  }
  return false;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
