/** The tables as such a service usually has them, for the candidates that are not balancectl. */
import { query } from "./database-server.ts";
import { firstUser, openingBalance, userCount } from "./population.ts";

export async function createSimpleSchema(url: string): Promise<void> {
  await query(
    url,
    `CREATE TABLE users (
       id      bigint PRIMARY KEY,
       balance bigint NOT NULL CHECK (balance >= 0)
     ) WITH (fillfactor = 50);
     CREATE TABLE entries (
       id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       user_id    bigint NOT NULL,
       amount     bigint NOT NULL,
       balance    bigint NOT NULL,
       created_at timestamptz NOT NULL DEFAULT clock_timestamp()
     );
     CREATE INDEX entries_user_id ON entries (user_id, id);
     INSERT INTO users (id, balance)
     SELECT ${firstUser} + n, ${openingBalance} FROM generate_series(0, ${userCount - 1}) n;
     INSERT INTO entries (user_id, amount, balance) SELECT id, balance, balance FROM users;
     ANALYZE`,
  );
}

/** The journaled change of one user's balance ($1) by an amount ($2), in one statement. */
export const changeStatement = `
  WITH changed AS (
    UPDATE users
       SET balance = balance + $2
     WHERE id = $1 AND balance + $2 >= 0
    RETURNING id, balance
  )
  INSERT INTO entries (user_id, amount, balance)
  SELECT id, $2, balance FROM changed
  RETURNING balance`;
