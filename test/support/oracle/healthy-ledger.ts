/** A small ledger with every kind of operation in it, in a database that can be cloned. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { afterFile } from "../cleanup.ts";
import { openFunction, type Step, uuid } from "../database/apply-operations.ts";
import { createTestDatabase, psql } from "../database/database.ts";
import { dropDatabase, withDatabase } from "../global-setup.ts";

/** Transfers and holds by what became of them. */
export const ids = {
  transfer: uuid(1),
  batch: uuid(0x10000),
  open: uuid(2),
  captured: uuid(3),
  voided: uuid(4),
  expired: uuid(5),
  spent: uuid(6),
  lastTransfer: uuid(7),
  expiring: uuid(8),
};

/** User 1 is the migration's. There are 8 idempotency keys. */
export const healthy = { users: 9, entries: 31 };

const at = (time: string) => ({ now: `2020-01-01T${time}Z`, keyLifetimeSeconds: 1e9 });

/** @returns the address of a database that nobody is connected to */
export async function createHealthyLedger(): Promise<string> {
  const url = await createTestDatabase();
  const { apply, close } = await openFunction(url);
  for (const [index, steps] of history.entries()) {
    const decided = await apply(steps, at(`00:00:${String(index * 2).padStart(2, "0")}`));
    const refused = decided.map(({ refusal }) => refusal).filter((refusal) => refusal !== null);
    const expected = steps.some(({ key }) => key === "refused") ? ["INSUFFICIENT_FUNDS"] : [];
    if (String(refused) !== String(expected)) throw new Error(`step ${index}: ${refused}`);
  }
  await close();
  return url;
}

const opening = (user: number, amount: number): Step => ({ user, kind: "opening", amount });
const pay = (user: number, to: number, amount: number, id: string): Step => {
  return { user, to, amount, id, kind: "transfer" };
};

const history: readonly (readonly Step[])[] = [
  // 11: adjustments. 12: opened with nothing. 17 and 18: a transfer as the last entry of both.
  [opening(11, 100), opening(12, 0), opening(13, 50), opening(14, 10), opening(16, 1)],
  [{ ...opening(15, 200), key: "opening" }, opening(17, 20), opening(18, 0)],
  [{ user: 11, amount: -30, key: "adjustment" }],
  [{ user: 11, amount: 5, reference: "order 7", metadata: { a: 1 } }],
  [{ user: 11, amount: -25 }],
  [{ user: 11, amount: -51, key: "refused" }],
  [{ ...pay(13, 14, 20, ids.transfer), key: "transfer" }],
  [
    { ...pay(14, 13, 5, ids.batch), group: 1, key: "batch" },
    { ...pay(14, 15, 5, `${ids.batch.slice(0, -1)}1`), group: 1 },
  ],
  [{ user: 15, kind: "hold", amount: 100, id: ids.open, key: "hold" }],
  [{ user: 15, kind: "hold", amount: 50, id: ids.captured }],
  [{ user: 15, kind: "capture", amount: 30, id: ids.captured, to: 16, key: "capture" }],
  [{ user: 15, kind: "hold", amount: 20, id: ids.voided }],
  [{ user: 15, kind: "void", id: ids.voided, key: "void" }],
  [{ user: 15, kind: "hold", amount: 10, id: ids.expired, lifetime: 1 }],
  [{ user: 15, kind: "hold", amount: 5, id: ids.spent }],
  [{ user: 15, kind: "capture", id: ids.spent }],
  [pay(17, 18, 7, ids.lastTransfer)],
  [{ user: 17, kind: "hold", amount: 3, id: ids.expiring, lifetime: 1e8 }],
];

/** A copy of its own for one test, dropped after the file. */
export async function cloneDatabase(url: string): Promise<string> {
  const serverUrl = inject("serverUrl");
  const name = `balancectl_test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`CREATE DATABASE ${name} TEMPLATE ${new URL(url).pathname.slice(1)}`);
  // Findings show times as the database's session does.
  await client.query(`ALTER DATABASE ${name} SET timezone = 'UTC'`);
  await client.end();
  afterFile(() => dropDatabase(serverUrl, name));
  return withDatabase(serverUrl, name);
}

export interface Sandbox {
  readonly url: string;
  /** Past the guards, over one connection: see the function of that name. */
  tamper(sql: string): Promise<void>;
  /** Every row and every constraint as in the beginning: much quicker than another clone. */
  restore(): Promise<void>;
}

/** Call it at the top of a file: the connection is closed after the file. */
export async function createSandbox(healthyUrl: string): Promise<Sandbox> {
  const url = await cloneDatabase(healthyUrl);
  const client = new pg.Client(url);
  await client.connect();
  afterFile(() => client.end());
  await client.query(
    `CREATE SCHEMA saved;
     ${tables.map((name) => `CREATE TABLE saved.${name} AS TABLE public.${name};`).join("\n")}
     CREATE TABLE saved.constraints AS
       SELECT conname, format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
                              pg_get_constraintdef(oid)) AS definition
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('n', 't')`,
  );
  const refill = [
    `TRUNCATE ${tables.join(", ")}`,
    ...tables.map((name) => `INSERT INTO ${name} SELECT * FROM saved.${name}`),
  ];
  return {
    url,
    tamper: async (sql) => {
      await client.query(tampering(sql));
    },
    restore: async () => {
      // Of a tampering that failed half-way.
      await client.query("ROLLBACK");
      const { rows } = await client.query<{ definition: string }>(
        `SELECT definition FROM saved.constraints
          WHERE conname NOT IN (SELECT conname FROM pg_constraint)`,
      );
      const missing = rows.map(({ definition }) => definition);
      await client.query(tampering([...refill, ...missing].join("; ")));
    },
  };
}

const tables = ["users", "entries", "holds", "idempotency_keys"];

/** Runs SQL as somebody with all rights and no scruples: past the triggers, which are on again after it. */
export async function tamper(url: string, sql: string): Promise<void> {
  await psql(url, tampering(sql));
}

/** The same, for a connection that is there. */
export function tampering(sql: string): string {
  const guards = (way: string) =>
    tables.map((table) => `ALTER TABLE ${table} ${way} TRIGGER USER;`).join(" ");
  return `BEGIN; ${guards("DISABLE")} ${sql}; ${guards("ENABLE")} COMMIT`;
}
