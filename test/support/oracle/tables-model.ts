/** The model's tables and the database's in one shape, to be compared row by row. */
import type { Row, TableRows } from "../database/tables.ts";
import type { Model } from "./ledger-model.ts";

export function modelTables({ users, entries, holds, keys }: Model): object {
  return {
    users: [...users.values()]
      .sort((a, b) => a.id - b.id)
      .map(({ id, balance, held, version, nextExpiryMs, createdMs, updatedMs }) => ({
        ...{ id, balance, held, version },
        next_expiry_at: nextExpiryMs,
        created_at: createdMs,
        updated_at: updatedMs,
      })),
    entries: [...entries]
      .sort((a, b) => a.userId - b.userId || a.version - b.version)
      .map(({ userId, version, amount, balance, kind, operationId, ...rest }) => ({
        ...{ user_id: userId, version, amount, balance, kind, operation_id: operationId },
        ...{ reference: rest.reference, metadata: rest.metadata, created_at: rest.createdMs },
        // Nobody is asked who they are.
        actor: null,
      })),
    holds: [...holds.values()]
      .sort((a, b) => a.userId - b.userId || order(a.id, b.id))
      .map(({ userId, id, amount, captured, state, expiresMs, createdMs, closedMs }) => ({
        ...{ user_id: userId, id, amount, captured, state },
        ...{ expires_at: expiresMs, created_at: createdMs, closed_at: closedMs },
      })),
    idempotency_keys: [...keys]
      .sort((a, b) => a.scope - b.scope || order(a.key, b.key))
      .map(({ scope, key, kind, refusal, amount, balance, version, ...rest }) => ({
        ...{ user_id: scope, key, kind, refusal, amount, balance, version },
        operation_id: unmade(kind, refusal) ? null : rest.operationId,
        created_user_id: rest.createdUserId,
        refused_leg: rest.refusedLeg,
        client: null,
        created_at: rest.decidedMs,
      })),
  };
}

/** Times as milliseconds. Fingerprints are the program's own business. */
export function comparableTables(rows: TableRows): object {
  return {
    users: rows.users.map(withTimes),
    entries: rows.entries.map(withTimes),
    holds: rows.holds.map(withTimes),
    idempotency_keys: rows.idempotency_keys.map(({ fingerprint: _, ...row }) => {
      const { kind, refusal, operation_id } = row;
      const id = unmade(String(kind), refusal as string | null) ? null : operation_id;
      return withTimes({ ...row, operation_id: id });
    }),
  };
}

/** The id of a transfer or hold that was refused names nothing. */
function unmade(kind: string, refusal: string | null): boolean {
  return refusal !== null && (kind === "transfer" || kind === "hold");
}

function withTimes(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) =>
      name.endsWith("_at") && value !== null ? [name, Date.parse(String(value))] : [name, value],
    ),
  );
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
