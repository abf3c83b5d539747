/**
 * What a session is set to, after it has begun: PgBouncer refuses, or drops in silence, what comes with the
 * start of a connection.
 */
import type pg from "pg";
import { sqlState } from "./translate-error.ts";

export type Settings = Readonly<Record<string, string | number>>;

export interface SessionSettings {
  /** Without them the ledger would not be what it is; one that the server does not know is an error. */
  readonly needed: Settings;
  /** Set where the server knows them, and can. */
  readonly known: Settings;
}

/**
 * Defaults of a role or a database that would change what statements mean or how values look, set to what
 * the ledger is made for. `default_transaction_read_only` is an operator's switch, and stays.
 */
export const pinned: Settings = {
  default_transaction_isolation: "read committed",
  DateStyle: "ISO",
  IntervalStyle: "postgres",
};

/**
 * How a server finds out that nobody is there any more, whose locks would be kept otherwise: by looking while
 * a statement runs or waits, and by asking (20 s of silence) while it waits for the rest of what was being
 * sent. In milliseconds, and the keepalives in seconds.
 */
export const watchful: Settings = {
  client_connection_check_interval: 2_000,
  tcp_user_timeout: 20_000,
  tcp_keepalives_idle: 10,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 2,
};

/**
 * In one round trip. A connection whose server process is not the one that greeted us goes through a pooler,
 * where settings may be somebody else's too: nothing is set, unless `always`.
 * @returns whether they were set
 */
export async function setUpSession(
  client: pg.Client,
  { needed, known }: SessionSettings,
  { always = false, timeoutMs }: { always?: boolean; timeoutMs: number },
): Promise<boolean> {
  const set = async (all: readonly Row[]) => {
    const greeted = (client as unknown as { processID: number | null }).processID;
    const columns = [0, 1, 2].map((at) => all.map((one) => one[at]));
    const asked = {
      ...{ text: setThem, values: [...columns, always ? null : greeted] },
      query_timeout: timeoutMs,
    };
    const answer = await client.query<{ set: boolean }>(asked);
    return answer.rows[0]?.set === true;
  };
  const rows = (all: Settings, isNeeded: boolean) =>
    Object.entries(all).map(([name, value]): Row => [name, String(value), isNeeded]);
  const must = rows(needed, true);
  const may = rows(known, false).filter(([name]) => !(name in needed));
  try {
    return await set([...must, ...may]);
  } catch (error) {
    // invalid_parameter_value: known, but this platform cannot (client_connection_check_interval on Windows).
    if (sqlState(error) !== "22023") throw error;
    return await set(must);
  }
}

type Row = readonly [name: string, value: string, isNeeded: boolean];

const setThem = `
  SELECT ours.is AS set,
         (SELECT count(set_config(name, value, false))
            FROM unnest($1::text[], $2::text[], $3::boolean[]) AS wanted (name, value, must)
           WHERE ours.is AND (must OR current_setting(name, true) IS NOT NULL))
    FROM (SELECT coalesce(pg_backend_pid() = $4::int, true) AS is) AS ours`;

/**
 * The settings of `-c name=value -c name=value`, as PostgreSQL takes the start option of that name.
 * @returns undefined when it says anything else
 */
export function settingsOf(options: string): Settings | undefined {
  const settings: Record<string, string> = {};
  const words = (options.match(/(?:\\.|[^\s\\])+/gs) ?? []).map((word) =>
    word.replace(/\\(.)/gs, "$1"),
  );
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    const text = word === "-c" ? (words[++at] ?? "") : word.replace(/^(--|-c)(?=.)/, "");
    const found = /^([\w.-]+)=(.*)$/s.exec(text);
    if (!found || (word !== "-c" && text === word)) return undefined;
    settings[(found[1] ?? "").replaceAll("-", "_")] = found[2] ?? "";
  }
  return settings;
}

/** How many times two sessions are asked for the process that serves them, before it counts as their own. */
const looksMax = 5;

/**
 * Whether a pooler lends a server process for one transaction at a time (PgBouncer's `pool_mode`): then one
 * process serves two clients that are connected at once, or one client meets several.
 */
export async function isLentByTransaction(client: pg.Client, other: pg.Client): Promise<boolean> {
  const pidOf = async (one: pg.Client) => {
    const { rows } = await one.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    return rows[0]?.pid;
  };
  const first = await pidOf(client);
  for (let look = 0; look < looksMax; look += 1) {
    if ((await pidOf(other)) === first || (await pidOf(client)) !== first) return true;
  }
  return false;
}
