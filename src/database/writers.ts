/**
 * The connections of the write lanes, one each. A pool hands over even an idle connection only in
 * the next tick, when the answers to the batch before have been written: PostgreSQL was seen to wait
 * 0.7 ms between two batches, and 0.03 ms with the connection at hand. So they are kept at hand.
 *
 * Statements that come before the answer to the last one are sent at once (pg's pipeline mode), each
 * with a Sync of its own: they run one after another, each is a transaction, and one that fails
 * leaves the next alone. So PostgreSQL goes on without waiting for this process to read its answer.
 */
import pg from "pg";
import { queryOneValue, type Statement } from "./one-value-query.ts";
import { QuietClient } from "./quiet-client.ts";
import { lockWaitRanOut, translateError } from "./translate-error.ts";

export interface Writer {
  /**
   * Runs one statement, which is one transaction, and returns its one value.
   * @throws BalancectlError whose message says whether anything may have been changed
   */
  query(statement: Statement, values: readonly (string | null)[]): Promise<string | null>;
}

export interface Writers {
  writer(lane: number): Writer;
  close(): Promise<void>;
}

export function createWriters(config: pg.PoolConfig): Writers {
  // As many as there are lanes: each has one.
  const pool = new pg.Pool({
    ...config,
    max: Infinity,
    idleTimeoutMillis: 0,
    pipeline: true,
    Client: QuietClient,
  });
  // Unheard, the error of a connection that dies would end the process.
  pool.on("error", () => {});
  const writers = new Map<number, ReturnType<typeof createWriter>>();
  return {
    writer: (lane) => {
      const writer = writers.get(lane) ?? createWriter(pool);
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
  pending: number;
  isRetired: boolean;
}

function createWriter(pool: pg.Pool): Writer & { release(): void } {
  let atHand: Connection | undefined;
  let connecting: Promise<Connection> | undefined;

  async function connect(): Promise<Connection> {
    try {
      const client = await pool.connect();
      const connection: Connection = { client, pending: 0, isRetired: false };
      client.on("error", () => retire(connection));
      atHand = connection;
      return connection;
    } catch (error) {
      throw translateError(error);
    } finally {
      connecting = undefined;
    }
  }

  /** Lost, or a statement failed on it: it answers what it was asked, and the next is a fresh one. */
  function retire(connection: Connection): void {
    if (atHand === connection) atHand = undefined;
    if (connection.isRetired) return;
    connection.isRetired = true;
    if (connection.pending === 0) connection.client.release(true);
  }

  return {
    query: async (statement, values) => {
      if (atHand === undefined) connecting ??= connect();
      const connection = atHand ?? ((await connecting) as Connection);
      connection.pending += 1;
      try {
        return await queryOneValue(connection.client, statement, values);
      } catch (error) {
        // The server goes on with this session, and with what is behind this statement.
        if (!lockWaitRanOut(error)) retire(connection);
        throw translateError(error, true);
      } finally {
        connection.pending -= 1;
        if (connection.isRetired && connection.pending === 0) connection.client.release(true);
      }
    },
    release: () => {
      if (atHand === undefined) return;
      // Given back once: an error that comes after it is nobody's.
      atHand.isRetired = true;
      atHand.client.release();
      atHand = undefined;
    },
  };
}
