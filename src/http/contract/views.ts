/** What the ledger knows, as it is shown: over HTTP and on the command line. Absent fields are left out. */
import type { z } from "zod";
import type { Entry } from "../../ledger/history.ts";
import type { Hold } from "../../ledger/holds.ts";
import type { User } from "../../ledger/reads.ts";
import type { StoredOperation } from "../../ledger/stored-operation.ts";
import type { Transfer } from "../../ledger/transfers.ts";
import type * as answers from "./answers.ts";

export function userView({
  id,
  balance,
  held,
  version,
  createdAt,
  updatedAt,
}: User): z.input<typeof answers.userInList> {
  return {
    id,
    balance,
    held,
    version,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

export function entryView(entry: Entry): z.input<typeof answers.entry> {
  const { version, amount, balance, kind, operationId, reference, metadata, actor, createdAt } =
    entry;
  return {
    version,
    amount,
    balance,
    kind,
    ...(operationId && named(kind, operationId)),
    ...(reference !== null && { reference }),
    ...(metadata !== null && { metadata }),
    ...(actor !== null && { actor }),
    createdAt: createdAt.toISOString(),
  };
}

export function holdView(hold: Hold): z.input<typeof answers.hold> {
  const { id, userId, amount, captured, state, expiresAt, createdAt, closedAt } = hold;
  return {
    id,
    userId,
    amount,
    state,
    ...(captured !== null && { captured }),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
    createdAt: createdAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}

/** A hold that was captured or voided: what of it went back, and what the user can spend now. */
export function closedHoldView(
  hold: Hold,
  balance: number,
  to?: number | undefined,
): z.input<typeof answers.holdClosed> {
  const released = hold.amount - (hold.captured ?? 0);
  return { ...holdView(hold), released, ...(to !== undefined && { to }), balance };
}

export function transferView(transfer: Transfer): z.input<typeof answers.transfer> {
  const { id, from, to, amount, reference, metadata, createdAt } = transfer;
  return {
    id,
    from,
    to,
    amount,
    ...(reference !== null && { reference }),
    ...(metadata !== null && { metadata }),
    createdAt: createdAt.toISOString(),
  };
}

/** Its outcome is "applied", or the code of the refusal. */
export function storedOperationView(row: StoredOperation): z.input<typeof answers.storedOperation> {
  const { key, kind, refusal, amount, balance, version, operationId, createdAt } = row;
  // The key of an opening is in no user's scope; whom it opened is what its row tells.
  const userId = kind === "opening" ? row.createdUserId : row.userId;
  // A transfer or hold that was refused has an id that names nothing.
  const exists = refusal === null || kind === "capture" || kind === "void";
  return {
    ...(userId !== null && { userId }),
    key,
    kind,
    outcome: refusal === "RECIPIENT_NOT_FOUND" ? "USER_NOT_FOUND" : (refusal ?? "applied"),
    ...(amount !== null && { amount }),
    ...(balance !== null && { balance }),
    ...(version !== null && { version }),
    ...(operationId !== null && exists && named(kind, operationId)),
    createdAt: createdAt.toISOString(),
  };
}

function named(kind: string, id: string): { transferId: string } | { holdId: string } {
  return kind === "transfer" ? { transferId: id } : { holdId: id };
}
