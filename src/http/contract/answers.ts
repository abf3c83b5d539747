/** What answers carry as `data`. Schemas type what handlers return (views.ts) and can describe the API. */
import { z } from "zod";
import { balanceMax } from "../../ledger/operation.ts";

const money = z.int().min(0).max(balanceMax);
const change = z.int().min(-balanceMax).max(balanceMax);
const positive = z.int().min(1).max(balanceMax);
const userId = positive;
const version = z.int().min(0);
const uuid = z.guid();
const time = z.iso.datetime();
const reference = z.string();
const metadata = z.record(z.string(), z.unknown());
/** Null on the last page. */
const nextCursor = z.string().nullable();

export const adjusted = z.strictObject({
  id: userId,
  balance: money,
  previousBalance: money,
  amount: change,
});

export const user = z.strictObject({ id: userId, balance: money });
export const userAt = z.strictObject({ id: userId, balance: money, at: time });

export const userInList = z.strictObject({
  id: userId,
  balance: money,
  held: money,
  /** The number of the user's entries. */
  version,
  createdAt: time,
  /** When the balance changed last. */
  updatedAt: time,
});
export const userPage = z.strictObject({ users: z.array(userInList), nextCursor });

export const transferMade = z.strictObject({
  id: uuid,
  from: userId,
  to: userId,
  amount: positive,
  /** The payer's. */
  balance: money,
});

export const transfersMade = z.strictObject({
  transfers: z.array(z.strictObject({ id: uuid, from: userId, to: userId, amount: positive })),
});

export const transfer = z.strictObject({
  id: uuid,
  from: userId,
  to: userId,
  amount: positive,
  reference: reference.optional(),
  metadata: metadata.optional(),
  createdAt: time,
});

export const hold = z.strictObject({
  id: uuid,
  userId,
  amount: positive,
  state: z.enum(["open", "captured", "voided", "expired"]),
  captured: positive.optional(),
  expiresAt: time.optional(),
  createdAt: time,
  closedAt: time.optional(),
});
export const holdPage = z.strictObject({ holds: z.array(hold), nextCursor });

export const holdMade = z.strictObject({ ...hold.shape, balance: money });

export const holdClosed = z.strictObject({
  ...hold.shape,
  /** What went back to the user. */
  released: money,
  /** Who was paid. */
  to: userId.optional(),
  /** The user's. */
  balance: money,
});

export const entry = z.strictObject({
  version: positive,
  amount: change,
  balance: money,
  kind: z.enum([
    ...(["opening", "adjustment", "transfer"] as const),
    ...(["hold", "release", "capture", "void", "expiry"] as const),
  ]),
  transferId: uuid.optional(),
  holdId: uuid.optional(),
  reference: reference.optional(),
  metadata: metadata.optional(),
  /** Who asked for it, like "token:k3x8w2ab"; absent where nobody was asked who they are. */
  actor: z.string().optional(),
  createdAt: time,
});
export const entryPage = z.strictObject({ entries: z.array(entry), nextCursor });

export const storedOperation = z.strictObject({
  userId: userId.optional(),
  key: z.string(),
  kind: z.enum(["opening", "adjustment", "transfer", "hold", "capture", "void"]),
  /** "applied", or the code of the refusal. */
  outcome: z.string(),
  amount: change.optional(),
  balance: money.optional(),
  version: version.optional(),
  transferId: uuid.optional(),
  holdId: uuid.optional(),
  createdAt: time,
});

export const alive = z.strictObject({ service: z.literal("balancectl"), version: z.string() });
export const ready = z.strictObject({
  ready: z.literal(true),
  /** There where requests without a token are answered because somebody has said so. */
  anonymous: z.literal(true).optional(),
});
