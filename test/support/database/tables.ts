/** All tables at a glance, over one connection: cheap enough to look after every single step. */
import pg from "pg";
import { afterFile } from "../cleanup.ts";

export interface TableRows {
  readonly users: readonly Row[];
  readonly entries: readonly Row[];
  readonly holds: readonly Row[];
  readonly idempotency_keys: readonly Row[];
}

export type Row = Readonly<Record<string, unknown>>;

export interface Tables {
  readonly client: pg.Client;
  /** Every row, in the order of the primary keys. bigint as a number, times as ISO text. */
  rows(): Promise<TableRows>;
  /**
   * Changes when anything was written, even the same values again: every row with the transaction
   * that wrote it.
   */
  fingerprint(): Promise<string>;
}

/** Call it at the top of a file: the connection is closed after the file. */
export async function openTables(databaseUrl: string): Promise<Tables> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  afterFile(() => client.end());
  await client.query("SET timezone = 'UTC'");
  return {
    client,
    rows: async () => {
      const { rows } = await client.query(
        `SELECT ${names.map((name) => `(${rowsOf(name)}) AS ${name}`).join(",\n")}`,
      );
      return rows[0] as TableRows;
    },
    fingerprint: async () => {
      const { rows } = await client.query(
        `SELECT ${names.map((name) => `(${fingerprintOf(name)})`).join(" || ' ' || ")} AS fingerprint`,
      );
      return rows[0].fingerprint;
    },
  };
}

const names = ["users", "entries", "holds", "idempotency_keys", "schema_migrations"] as const;
const keys: Readonly<Record<(typeof names)[number], string>> = {
  users: "id",
  entries: "user_id, version",
  holds: "user_id, id",
  idempotency_keys: "user_id, key",
  schema_migrations: "name",
};

function rowsOf(name: keyof typeof keys): string {
  return `SELECT coalesce(json_agg(t ORDER BY ${keys[name]}), '[]') FROM ${name} t`;
}

function fingerprintOf(name: keyof typeof keys): string {
  return `SELECT coalesce(md5(string_agg(xmin || ' ' || t::text, ';' ORDER BY ${keys[name]})), '')
            FROM ${name} t`;
}
