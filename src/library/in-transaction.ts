/** The SQL door in TypeScript: each change is one call of a function of docs/sql.md, in the caller's transaction. */
import type { Door, Queryable, Refusal, Verdict, Writing } from "./shapes.ts";

/** @param schema of the ledger; where the search_path of the transaction leads when it is left out */
export function inTransaction(transaction: Queryable, schema: string | undefined): Door {
  const place = schema === undefined ? "" : `"${schema}".`;

  async function call(name: string, given: Readonly<Record<string, unknown>>): Promise<Verdict> {
    const named = Object.entries(given).filter(([, value]) => value !== undefined);
    const list = named
      .map(([parameter], index) => `${parameter} => $${index + 1}${casts[parameter] ?? ""}`)
      .join(", ");
    const values = named.map(([, value]) => value);
    const text = `SELECT row_to_json(v)::text AS verdict FROM ${place}try_${name}(${list}) v`;
    const { rows } = await transaction.query(text, values);
    return verdictOf(JSON.parse((rows[0] as { verdict: string }).verdict));
  }

  return {
    adjust: ({ userId, amount, ...rest }) =>
      call("adjust", { user_id: userId, amount, ...written(rest) }),
    transfer: ({ from, to, amount, ...rest }) =>
      call("transfer", { from_user_id: from, to_user_id: to, amount, ...written(rest) }),
    hold: ({ userId, amount, expiresIn, ...rest }) =>
      call("hold", { user_id: userId, amount, expires_in: expiresIn, ...written(rest) }),
    capture: ({ userId, holdId, amount, to, ...rest }) =>
      call("capture", {
        ...{ user_id: userId, hold_id: holdId, amount, to_user_id: to },
        ...written(rest),
      }),
    void: ({ userId, holdId, ...rest }) =>
      call("void", { user_id: userId, hold_id: holdId, ...written(rest) }),
    openUser: ({ userId, balance, ...rest } = {}) =>
      call("open_user", { user_id: userId, balance, ...written(rest) }),
  };
}

/** As text, or a driver that knows the type would make JSON of the JSON. */
const casts: Readonly<Record<string, string>> = { metadata: "::text::jsonb" };

function written({ idempotencyKey, reference, metadata, minBalance, ifVersion }: Writing) {
  return {
    ...{ idempotency_key: idempotencyKey, reference },
    metadata: metadata && JSON.stringify(metadata),
    ...{ min_balance: minBalance, if_version: ifVersion },
  };
}

interface Row {
  readonly refusal: Refusal | null;
  readonly balance: number | null;
  readonly previous_balance: number | null;
  readonly version: number | null;
  readonly replayed: boolean;
  readonly operation_id: string | null;
  readonly user_id: number | null;
}

function verdictOf(row: Row): Verdict {
  const { refusal, balance, version, replayed } = row;
  if (refusal !== null) return { refusal, balance, version, replayed };
  return {
    ...{ refusal, replayed },
    balance: balance as number,
    previousBalance: row.previous_balance as number,
    version: version as number,
    ...(row.operation_id !== null && { operationId: row.operation_id }),
    ...(row.user_id !== null && { userId: row.user_id }),
  };
}
