/**
 * Two pools on one database. Sequelize has the reads; the write lanes have a pg pool of their own,
 * so that a flood of reads never keeps a change of a balance waiting for a connection.
 */
import pg from "pg";
import { Sequelize } from "sequelize";
import type { Config } from "../config.ts";
import { connectionParts } from "./connection-parts.ts";
import { hostClients } from "./host-client.ts";
import { defineModels, type Models } from "./models.ts";
import { watchful } from "./session.ts";
import { createWriters, silenceMs, type Writer } from "./writers.ts";

export interface Database {
  readonly sequelize: Sequelize;
  readonly models: Models;
  /** The connection of a write lane, by the lane's index from 0. */
  readonly writer: (lane: number) => Writer;
  /** A connection of its own, for what must not wait behind changes or reads. */
  readonly aside: Writer;
  close(): Promise<void>;
}

/**
 * How long a batch of several users waits for those that another session has locked, before it passes
 * them by. Longer than a usual batch (1.3 ms for 32 operations), so that two processes with users in common
 * wait for each other. Everybody in the batch waits with it: while an application locked one account of 200, with
 * 5 % of the load, for 30 ms again and again, the others kept 17 % of their rate with 40 ms here, and all of it
 * with 10; for 9 ms, 49 % with 20 and 98 % with 10. Two processes on one hot user make a tenth less with 10.
 */
export const sharedLockWaitMs = 10;

type ConnectionBounds = Pick<Config, "readConnectionsMax" | "lockTimeoutMs" | "statementTimeoutMs">;

/** Opens nothing yet: connections are made when first needed. */
export function connectDatabase(url: string, bounds: ConnectionBounds): Database {
  const clients = hostClients(url);
  const { lockTimeoutMs, statementTimeoutMs } = bounds;
  const settings = (lockTimeout: number) => ({
    needed: { lock_timeout: lockTimeout, statement_timeout: statementTimeoutMs },
    // Each transaction is one statement. A line that dies between Execute and Sync leaves one that no other
    // timeout ends: it was seen to keep its row locks for 92 s. PostgreSQL 17 and newer.
    known: { ...watchful, transaction_timeout: statementTimeoutMs + silenceMs },
  });
  const { user, password, database } = connectionParts(url);
  const reading = clients.withOptions({
    // Only for a server that no longer answers at all; the server's own timeout comes first.
    query_timeout: statementTimeoutMs + silenceMs,
    settings: settings(lockTimeoutMs),
  });
  const sequelize = new Sequelize(database ?? "", user ?? "", password as string, {
    dialect: "postgres",
    dialectModule: { ...pg, Client: reading, types: exactTypes },
    logging: false,
    pool: { max: bounds.readConnectionsMax, acquire: 10_000, idle: 30_000 },
  });
  const writersConfig = {
    types: exactTypes,
    Client: clients.withOptions({
      settings: settings(Math.min(sharedLockWaitMs, lockTimeoutMs)),
    }),
  };
  const writers = createWriters(writersConfig, statementTimeoutMs);
  return {
    sequelize,
    models: defineModels(sequelize),
    writer: writers.writer,
    aside: writers.writer(-1),
    close: async () => {
      await Promise.all([sequelize.close(), writers.close()]);
    },
  };
}

/** bigint comes as a number: every bigint in the schema is a safe integer by CHECK. */
export const exactTypes: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    if (oid === pg.types.builtins.INT8 && format !== "binary") return parseSafeInteger;
    return pg.types.getTypeParser(oid, format);
  },
};

function parseSafeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond 2^53 - 1`);
  return value;
}
