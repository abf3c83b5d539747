/** Transactions of query builders and drivers as what in() takes. They are asked for no more than what is named here. */
import type { Queryable } from "./shapes.ts";

/** Of Sequelize: `ledger.in(sequelizeTransaction(sequelize, transaction))`. */
export function sequelizeTransaction<Transaction>(
  sequelize: { query(text: string, options: object): Promise<unknown> },
  transaction: Transaction,
): Queryable {
  return {
    query: async (text, bind) => {
      const rows = await sequelize.query(text, { bind, transaction, type: "SELECT" });
      return { rows: rows as unknown[] };
    },
  };
}

/** Of Knex: `ledger.in(knexTransaction(trx))`. */
export function knexTransaction(trx: {
  raw(text: string, bindings: unknown[]): PromiseLike<{ rows: unknown[] }>;
}): Queryable {
  return {
    // It has ? where PostgreSQL has $1; in their order here, each once.
    query: async (text, values) => await trx.raw(text.replace(/\$\d+/g, "?"), values),
  };
}

/** Of Kysely: `ledger.in(kyselyTransaction(trx))`. */
export function kyselyTransaction(trx: {
  executeQuery(query: never): Promise<{ rows: unknown[] }>;
}): Queryable {
  return {
    query: async (sql, parameters) => {
      const query = { kind: "RawQueryNode", sqlFragments: [sql], parameters: [] };
      const compiled = { sql, parameters, query, queryId: { queryId: "balancectl" } };
      return await trx.executeQuery(compiled as never);
    },
  };
}

/** Of postgres.js: `sql.begin((sql) => ledger.in(postgresTransaction(sql)).adjust(...))`. */
export function postgresTransaction(sql: {
  unsafe(text: string, values: never[]): PromiseLike<unknown[]>;
}): Queryable {
  return {
    query: async (text, values) => ({ rows: [...(await sql.unsafe(text, values as never[]))] }),
  };
}
