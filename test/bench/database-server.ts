/** The one PostgreSQL server that all runs on, and a fresh database for whoever needs one. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";

export interface DatabaseServer {
  /** What it is and the settings that decide about its speed. */
  readonly description: string;
  /** Creates a database, empty or as a copy of another one that nobody is connected to. */
  create(template?: string): Promise<string>;
  drop(url: string): Promise<void>;
  /** Writes out what is dirty, so that it is not written in the middle of somebody's round. */
  checkpoint(): Promise<void>;
  /** Waits, up to 5 s, until no autovacuum cleans up behind whoever was measured before. */
  quiet(): Promise<void>;
  /** Drops what is left and stops the server if it was started here. */
  close(): Promise<void>;
}

/** @param url of a server that was given, otherwise an embedded one is started below `folder`. */
export async function openDatabaseServer(
  url: string | undefined,
  folder: string,
): Promise<DatabaseServer> {
  const embedded = url
    ? undefined
    : await openEmbeddedPostgres({ dataDir: join(folder, "bench"), listen: { tcpPort: 0 } });
  const serverUrl = url ?? (embedded?.url as string);
  const databases = new Set<string>();
  const prefix = `balancectl_bench_${randomBytes(4).toString("hex")}`;
  let count = 0;
  let closed = false;

  async function drop(databaseUrl: string): Promise<void> {
    await query(serverUrl, `DROP DATABASE IF EXISTS ${nameOf(databaseUrl)} WITH (FORCE)`);
    databases.delete(databaseUrl);
  }

  return {
    description: `${await describe(serverUrl)}, ${embedded ? "embedded" : "BENCH_DATABASE_URL"}`,
    create: async (template) => {
      if (closed) throw new Error("The benchmark is stopping");
      count += 1;
      const created = new URL(serverUrl);
      created.pathname = `/${prefix}_${count}`;
      databases.add(created.href);
      const from = template === undefined ? "" : ` TEMPLATE ${nameOf(template)}`;
      await query(serverUrl, `CREATE DATABASE ${nameOf(created.href)}${from}`);
      return created.href;
    },
    drop,
    // Not everybody may; then it is left to PostgreSQL.
    checkpoint: () =>
      query(serverUrl, "CHECKPOINT").then(
        () => {},
        () => {},
      ),
    quiet: () => query(serverUrl, untilQuiet).then(() => {}),
    close: async () => {
      closed = true;
      for (const one of databases) await drop(one);
      await embedded?.close();
    },
  };
}

const untilQuiet = `
  DO $$ BEGIN
    FOR i IN 1..50 LOOP
      EXIT WHEN NOT EXISTS (
        SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker');
      PERFORM pg_sleep(0.1);
      PERFORM pg_stat_clear_snapshot();
    END LOOP;
  END $$`;

/** One query on a connection of its own. */
export async function query<T extends pg.QueryResultRow = pg.QueryResultRow>(
  url: string,
  sql: string,
): Promise<T[]> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

async function describe(url: string): Promise<string> {
  const rows = await query<{ text: string }>(
    url,
    `SELECT 'PostgreSQL ' || current_setting('server_version') || ' (' || string_agg(
              s || ' ' || current_setting(s), ', ' ORDER BY n) || ')' AS text
       FROM unnest('{fsync,synchronous_commit,shared_buffers,max_wal_size}'::text[])
            WITH ORDINALITY AS x (s, n)`,
  );
  return rows[0]?.text ?? "PostgreSQL";
}
