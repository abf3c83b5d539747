/** What the two candidates on Express and Sequelize share: connection, models, server. */
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import pg from "pg";
import { DataTypes, type Model, type ModelStatic, Sequelize } from "sequelize";
import { announce } from "./answering.ts";

export interface UserRow {
  id: number;
  balance: number;
}

export interface EntryRow {
  userId: number;
  amount: number;
  balance: number;
}

export interface Store {
  readonly sequelize: Sequelize;
  readonly User: ModelStatic<Model<UserRow> & UserRow>;
  readonly Entry: ModelStatic<Model<EntryRow, EntryRow>>;
}

export function openStore(url: string): Store {
  // As numbers: the balances of the benchmark are exact in them.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  const sequelize = new Sequelize(url, {
    dialect: "postgres",
    logging: false,
    pool: { min: 16, max: 16 },
  });
  const options = { timestamps: false, underscored: true };
  const { BIGINT } = DataTypes;
  return {
    sequelize,
    User: sequelize.define<Model<UserRow> & UserRow>(
      "User",
      { id: { type: BIGINT, primaryKey: true }, balance: BIGINT },
      { ...options, tableName: "users" },
    ),
    Entry: sequelize.define<Model<EntryRow, EntryRow>>(
      "Entry",
      { userId: BIGINT, amount: BIGINT, balance: BIGINT },
      { ...options, tableName: "entries" },
    ),
  };
}

/** Express as it is usually set up, in production. */
export function listen(put: RequestHandler): void {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(express.json());
  app.put("/api/users/:userId/balance", put);
  const failed: ErrorRequestHandler = (error, _req, res, _next) => {
    process.stderr.write(`${error.stack}\n`);
    res
      .status(500)
      .json({ success: false, error: { code: "INTERNAL", message: "Internal error" } });
  };
  app.use(failed);
  const server = app.listen(0, "127.0.0.1", () => {
    announce(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
}
