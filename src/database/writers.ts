/**
 * The connections of the write lanes, one each. A pool hands over even an idle connection only in
 * the next tick, when the answers to the batch before have been written: PostgreSQL was seen to wait
 * 0.7 ms between two batches, and 0.03 ms with the connection at hand. So they are kept at hand.
 *
 * Statements that come before the answer to the last one are sent at once (pg's pipeline mode), each
 * with a Sync of its own: they run one after another, each is a transaction, and one that fails
 * leaves the next alone. So PostgreSQL goes on without waiting for this process to read its answer.
 *
 * A write whose answer is lost with its connection is looked for by its receipt (receipts.ts), on the
 * lane's next connection: its answer is there, or nothing was changed and it runs once more.
 */
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { BalancectlError } from "../errors.ts";
import { within } from "../within.ts";
import { queryOneValue, type Statement } from "./one-value-query.ts";
import {
  endedForNoReason,
  openReceipts,
  type Receipt,
  type Receipts,
  resolveReceipt,
} from "./receipts.ts";
import { lockWaitRanOut, translateError } from "./translate-error.ts";

export interface Writer {
  /**
   * Runs one statement, which is one transaction, and returns its one value.
   * @throws BalancectlError whose message says whether anything may have been changed
   */
  query(statement: Statement, values: readonly (string | null)[]): Promise<string | null>;
  /**
   * The same for a statement that ends with write_receipt(), whose last two parameters are added here. That
   * it is OUTCOME_UNKNOWN is left for a database that does not come back in time.
   */
  write(statement: Statement, values: readonly (string | null)[]): Promise<string | null>;
}

export interface Writers {
  writer(lane: number): Writer;
  close(): Promise<void>;
}

/**
 * @param config with the `Client` to connect with, which bounds by itself how long that takes
 * @param statementTimeoutMs also how long the answer of a write that was lost is looked for
 */
export function createWriters(config: pg.PoolConfig, statementTimeoutMs: number): Writers {
  // As many as there are lanes: each has one.
  const pool = new pg.Pool({
    ...config,
    max: Infinity,
    idleTimeoutMillis: 0,
    pipeline: true,
  });
  // Unheard, the error of a connection that dies would end the process.
  pool.on("error", () => {});
  const writers = new Map<number, ReturnType<typeof createWriter>>();
  return {
    writer: (lane) => {
      const writer = writers.get(lane) ?? createWriter(pool, statementTimeoutMs);
      writers.set(lane, writer);
      return writer;
    },
    close: async () => {
      for (const writer of writers.values()) writer.release();
      await pool.end();
    },
  };
}

/** A connection and how many of its statements are not answered. */
interface Connection {
  readonly client: pg.PoolClient;
  readonly receipts: Receipts;
  /** Cuts a line that has fallen silent while something is pending. */
  readonly silence: NodeJS.Timeout;
  pending: number;
  isRetired: boolean;
}

/** How long after its statement timeout a server that does not answer is taken for gone. */
export const silenceMs = 5_000;

/** Between two looks for a lost answer: a batch that is committing takes about as long. */
const lookAgainMs = 20;

function createWriter(pool: pg.Pool, statementTimeoutMs: number): Writer & { release(): void } {
  const overdueMs = statementTimeoutMs + silenceMs;
  let atHand: Connection | undefined;
  let connecting: Promise<Connection> | undefined;

  async function connect(): Promise<Connection> {
    let client: pg.PoolClient | undefined;
    try {
      client = await pool.connect();
      const receipts = await openReceipts(client, overdueMs);
      const silence = setTimeout(() => {
        if (connection.pending > 0) cut(connection.client);
      }, overdueMs).unref();
      const connection: Connection = { client, receipts, silence, pending: 0, isRetired: false };
      client.on("error", () => retire(connection));
      atHand = connection;
      return connection;
    } catch (error) {
      client?.release(true);
      throw translateError(error);
    } finally {
      connecting = undefined;
    }
  }

  async function connected(): Promise<Connection> {
    if (atHand !== undefined) return atHand;
    connecting ??= connect();
    return await connecting;
  }

  /** Lost, or a statement failed on it: it answers what it was asked, and the next is a fresh one. */
  function retire(connection: Connection): void {
    if (atHand === connection) atHand = undefined;
    if (connection.isRetired) return;
    connection.isRetired = true;
    if (connection.pending === 0) giveBack(connection);
  }

  function giveBack({ client, silence }: Connection): void {
    clearTimeout(silence);
    client.release(true);
  }

  async function run<T>(
    connection: Connection,
    ask: (client: pg.PoolClient) => Promise<T>,
  ): Promise<T> {
    // The time is that of the statement at the head: one behind it has its own from when that has landed.
    if (connection.pending === 0) connection.silence.refresh();
    connection.pending += 1;
    try {
      return await ask(connection.client);
    } catch (error) {
      // The server goes on with this session, and with what is behind this statement.
      if (!lockWaitRanOut(error)) retire(connection);
      throw translateError(error, true);
    } finally {
      connection.pending -= 1;
      if (connection.pending > 0) connection.silence.refresh();
      else if (connection.isRetired) giveBack(connection);
    }
  }

  /**
   * @returns the write's answer, null when nothing was changed
   * @throws `unknown` when it cannot be found out in time
   */
  async function resolve(receipt: Receipt, unknown: BalancectlError): Promise<string | null> {
    const over = new AbortController();
    const looking = look(receipt, over.signal);
    const answer = (await within(statementTimeoutMs, looking)) ? await looking : undefined;
    over.abort();
    if (answer === undefined) throw unknown;
    return answer;
  }

  /** Again and again, while the database is away or the batch at its end. Never rejects. */
  async function look(receipt: Receipt, over: AbortSignal): Promise<string | null | undefined> {
    while (!over.aborted) {
      try {
        return await run(await connected(), (client) => resolveReceipt(client, receipt));
      } catch {
        await sleep(lookAgainMs);
      }
    }
    return undefined;
  }

  return {
    query: async (statement, values) =>
      await run(atHand ?? (await connected()), (client) =>
        queryOneValue(client, statement, values),
      ),
    write: async (statement, values) => {
      for (let isSecond = false; ; isSecond = true) {
        const connection = atHand ?? (await connected());
        const receipt = connection.receipts.next();
        const all = [...values, String(receipt.id), String(receipt.number)];
        try {
          return await run(connection, (client) => queryOneValue(client, statement, all));
        } catch (error) {
          if (!(error instanceof BalancectlError)) throw error;
          if (error.applied === "unknown") {
            const answer = await resolve(receipt, error);
            if (answer !== null) return answer;
          } else if (!endedForNoReason(error)) throw error;
          if (isSecond)
            throw new BalancectlError("DATABASE_UNAVAILABLE", lostTwice, { cause: error });
        }
      }
    },
    release: () => {
      const last = atHand;
      atHand = undefined;
      if (last === undefined) return;
      // Given back once, when it has answered what it was asked: an error that comes after it is nobody's.
      last.isRetired = true;
      if (last.pending > 0) return;
      clearTimeout(last.silence);
      last.client.release();
    },
  };
}

const lostTwice = "The database connection was lost twice; nothing was changed, try again later";

/** All that is pending on it fails. */
function cut(client: pg.ClientBase): void {
  (client as unknown as Wired).connection.stream.destroy();
}

/** What the types of pg's Client leave out. */
interface Wired {
  readonly connection: { readonly stream: Duplex };
}
