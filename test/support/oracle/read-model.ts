/** Reads as a client sends them, and the answers that the model expects. */
import {
  decide,
  type Model,
  type ModelEntry,
  type ModelHold,
  type ModelKey,
} from "./ledger-model.ts";
import type { ApiAnswer } from "./write-model.ts";

export type Read =
  | { readonly read: "users" }
  | { readonly read: "user" | "holds"; readonly userId: number }
  | { readonly read: "balance-at"; readonly userId: number; readonly at: string }
  | {
      readonly read: "entries";
      readonly userId: number;
      readonly order: "asc" | "desc";
      readonly from?: string;
      readonly to?: string;
    }
  | { readonly read: "hold"; readonly userId: number; readonly holdId: string }
  | { readonly read: "transfer"; readonly id: string }
  | { readonly read: "operation"; readonly userId: number; readonly key: string };

export function readPath(read: Read): string {
  switch (read.read) {
    case "users":
      return "/api/users";
    case "user":
      return `/api/users/${read.userId}`;
    case "holds":
      return `/api/users/${read.userId}/holds`;
    case "balance-at":
      return `/api/users/${read.userId}?at=${read.at}`;
    case "entries": {
      const { order, from, to } = read;
      const query = new URLSearchParams({ order, ...(from && { from }), ...(to && { to }) });
      return `/api/users/${read.userId}/entries?${query}`;
    }
    case "hold":
      return `/api/users/${read.userId}/holds/${read.holdId}`;
    case "transfer":
      return `/api/transfers/${read.id}`;
    case "operation":
      return `/api/users/${read.userId}/operations/${read.key}`;
  }
}

/** What is due goes back before a user is shown, so a read may change the model. */
export function expectedRead(model: Model, read: Read, clockMs: number): ApiAnswer {
  if (read.read === "transfer") return transfer(model, read.id);
  if (read.read === "operation") return operation(model, read.userId, read.key);
  if (read.read === "users") {
    const ids = [...model.users.keys()].sort((a, b) => a - b);
    for (const id of ids) giveBack(model, id, clockMs);
    const users = ids.flatMap((id) => model.users.get(id) ?? []);
    const views = users.map(({ id, balance, held, version, createdMs, updatedMs }) => {
      const times = { createdAt: iso(createdMs), updatedAt: iso(updatedMs) };
      return { id, balance, held, version, ...times };
    });
    return ok({ users: views, nextCursor: null });
  }
  giveBack(model, read.userId, clockMs);
  const user = model.users.get(read.userId);
  if (!user) return failed(404, "USER_NOT_FOUND", `User ${read.userId} not found`);
  const { id, balance, version, createdMs } = user;
  const entries = model.entries.filter(({ userId }) => userId === id);
  switch (read.read) {
    case "user":
      return { ...ok({ id, balance }), etag: `"v${version}"` };
    case "balance-at": {
      const atMs = Date.parse(read.at);
      if (atMs < createdMs) {
        return failed(404, "USER_NOT_FOUND", `User ${id} exists only since ${iso(createdMs)}`);
      }
      const last = entries.findLast((entry) => entry.createdMs <= atMs);
      return ok({ id, balance: last?.balance ?? 0, at: iso(atMs) });
    }
    case "entries": {
      const { from, to, order } = read;
      const chosen = entries.filter(
        (entry) =>
          (from === undefined || entry.createdMs >= Date.parse(from)) &&
          (to === undefined || entry.createdMs < Date.parse(to)),
      );
      if (order === "desc") chosen.reverse();
      return ok({ entries: chosen.map(entryView), nextCursor: null });
    }
    case "holds": {
      const all = [...model.holds.values()].filter(({ userId }) => userId === id);
      const openFirst = (hold: ModelHold) => (hold.state === "open" ? 0 : 1);
      all.sort((a, b) => openFirst(a) - openFirst(b) || (a.id < b.id ? 1 : -1));
      return ok({ holds: all.map(holdView), nextCursor: null });
    }
    case "hold": {
      const hold = model.holds.get(read.holdId);
      if (hold?.userId !== id) return failed(404, "HOLD_NOT_FOUND", "Hold not found");
      return ok(holdView(hold));
    }
  }
}

function giveBack(model: Model, userId: number, clockMs: number): void {
  const due = model.users.get(userId)?.nextExpiryMs ?? Number.POSITIVE_INFINITY;
  if (due <= clockMs) decide(model, { kind: "touch", userId, amount: null }, clockMs);
}

function transfer(model: Model, id: string): ApiAnswer {
  const sides = model.entries.filter((one) => one.kind === "transfer" && one.operationId === id);
  const paid = sides.find(({ amount }) => amount < 0);
  const received = sides.find(({ amount }) => amount > 0);
  if (!paid || !received) return failed(404, "TRANSFER_NOT_FOUND", "Transfer not found");
  const { amount, userId: to } = received;
  const createdMs = Math.min(paid.createdMs, received.createdMs);
  const context = contextOf(paid);
  return ok({ id, from: paid.userId, to, amount, ...context, createdAt: iso(createdMs) });
}

function operation(model: Model, userId: number, key: string): ApiAnswer {
  const stored = model.keys.find((one) => one.scope === userId && one.key === key);
  if (stored) return ok(keyView(userId, stored));
  const message = "No operation is stored under this Idempotency-Key";
  return failed(404, "OPERATION_NOT_FOUND", message);
}

function keyView(userId: number, stored: ModelKey): object {
  const { key, kind, refusal, amount, balance, version, operationId, decidedMs } = stored;
  const names = refusal === null || kind === "capture" || kind === "void";
  return {
    ...{ userId, key, kind },
    outcome: refusal ?? "applied",
    ...(amount !== null && { amount }),
    ...(balance !== null && { balance }),
    ...(version !== null && { version }),
    ...(names && operationId && { [kind === "transfer" ? "transferId" : "holdId"]: operationId }),
    createdAt: iso(decidedMs),
  };
}

function entryView(entry: ModelEntry): object {
  const { version, amount, balance, kind, operationId, createdMs } = entry;
  return {
    ...{ version, amount, balance, kind },
    ...(operationId && { [kind === "transfer" ? "transferId" : "holdId"]: operationId }),
    ...contextOf(entry),
    createdAt: iso(createdMs),
  };
}

function contextOf({ reference, metadata }: ModelEntry): object {
  return { ...(reference !== null && { reference }), ...(metadata !== null && { metadata }) };
}

export function holdView(hold: ModelHold): object {
  const { id, userId, amount, state, captured, expiresMs, createdMs, closedMs } = hold;
  return {
    ...{ id, userId, amount, state },
    ...(captured !== null && { captured }),
    ...(expiresMs !== null && { expiresAt: iso(expiresMs) }),
    createdAt: iso(createdMs),
    ...(closedMs !== null && { closedAt: iso(closedMs) }),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function ok(data: unknown): ApiAnswer {
  return { status: 200, body: { success: true, data } };
}

function failed(status: number, code: string, message: string): ApiAnswer {
  return { status, body: { success: false, error: { code, message } } };
}
