/**
 * The connections of the write lanes, one each. A pool hands over even an idle connection only in
 * the next tick, when the answers to the batch before have been written: PostgreSQL was seen to wait
 * 0.7 ms between two batches, and 0.03 ms with the connection at hand. So they are kept at hand.
 */
import pg from "pg";
import { queryOneValue, type Statement } from "./one-value-query.ts";
import { translateError } from "./translate-error.ts";

export interface Writers {
  /**
   * Runs one statement, which is one transaction, and returns its one value.
   * @throws BalancectlError whose message says whether anything may have been changed
   */
  query(statement: Statement, values: readonly (string | null)[]): Promise<string | null>;
  close(): Promise<void>;
}

export function createWriters(config: pg.PoolConfig): Writers {
  const pool = new pg.Pool({ ...config, idleTimeoutMillis: 0 });
  let atHand: pg.PoolClient[] = [];
  // Unheard, the error of a connection that dies would end the process.
  pool.on("error", () => {});
  pool.on("connect", (client) => {
    client.on("error", () => {
      // Lost while nobody used it: another one is made when it is needed. In use, its query fails.
      const index = atHand.indexOf(client as pg.PoolClient);
      if (index < 0) return;
      atHand.splice(index, 1);
      (client as pg.PoolClient).release(true);
    });
  });
  const connect = () =>
    pool.connect().catch((error) => {
      throw translateError(error);
    });
  return {
    query: async (statement, values) => {
      const client = atHand.pop() ?? (await connect());
      try {
        const value = await queryOneValue(client, statement, values);
        atHand.push(client);
        return value;
      } catch (error) {
        // The statement's own failure does not hurt the connection, but a fresh one costs little.
        client.release(error as Error);
        throw translateError(error, true);
      }
    },
    close: async () => {
      for (const client of atHand) client.release();
      atHand = [];
      await pool.end();
    },
  };
}
