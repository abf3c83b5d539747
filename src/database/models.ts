/** Sequelize models: for reading. Every change goes through the database function instead. */
import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

export interface UserRow {
  id: number;
  balance: number;
  held: number;
  version: number;
  nextExpiryAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export const entryKinds = [
  "opening",
  "adjustment",
  "transfer",
  "hold",
  "release",
  "capture",
  "void",
  "expiry",
] as const;
export type EntryKind = (typeof entryKinds)[number];

export interface EntryRow {
  userId: number;
  version: number;
  amount: number;
  balance: number;
  kind: EntryKind;
  operationId: string | null;
  reference: string | null;
  metadata: Record<string, unknown> | null;
  /** Of the table of actors. */
  actor: number | null;
  createdAt: Date;
}

export const holdStates = ["open", "captured", "voided", "expired"] as const;

export interface HoldRow {
  userId: number;
  id: string;
  amount: number;
  captured: number | null;
  state: (typeof holdStates)[number];
  expiresAt: Date | null;
  createdAt: Date;
  closedAt: Date | null;
}

export const keyedKinds = ["opening", "adjustment", "transfer", "hold", "capture", "void"] as const;

export interface IdempotencyKeyRow {
  userId: number;
  key: string;
  kind: (typeof keyedKinds)[number];
  refusal: string | null;
  amount: number | null;
  balance: number | null;
  version: number | null;
  operationId: string | null;
  createdUserId: number | null;
  client: number | null;
  createdAt: Date;
}

export interface Models {
  readonly User: ModelStatic<Model<UserRow>>;
  readonly Entry: ModelStatic<Model<EntryRow>>;
  readonly Hold: ModelStatic<Model<HoldRow>>;
  readonly IdempotencyKey: ModelStatic<Model<IdempotencyKeyRow>>;
}

export function defineModels(sequelize: Sequelize): Models {
  const { BIGINT, DATE, INTEGER, JSONB, TEXT, UUID } = DataTypes;
  const options = { timestamps: false, underscored: true };
  return {
    User: sequelize.define<Model<UserRow>>(
      "User",
      {
        id: { type: BIGINT, primaryKey: true },
        balance: BIGINT,
        held: BIGINT,
        version: BIGINT,
        nextExpiryAt: DATE,
        createdAt: DATE,
        updatedAt: DATE,
      },
      { ...options, tableName: "users" },
    ),
    Entry: sequelize.define<Model<EntryRow>>(
      "Entry",
      {
        userId: { type: BIGINT, primaryKey: true },
        version: { type: BIGINT, primaryKey: true },
        amount: BIGINT,
        balance: BIGINT,
        kind: TEXT,
        operationId: UUID,
        reference: TEXT,
        metadata: JSONB,
        actor: INTEGER,
        createdAt: DATE,
      },
      { ...options, tableName: "entries" },
    ),
    Hold: sequelize.define<Model<HoldRow>>(
      "Hold",
      {
        userId: { type: BIGINT, primaryKey: true },
        id: { type: UUID, primaryKey: true },
        amount: BIGINT,
        captured: BIGINT,
        state: TEXT,
        expiresAt: DATE,
        createdAt: DATE,
        closedAt: DATE,
      },
      { ...options, tableName: "holds" },
    ),
    IdempotencyKey: sequelize.define<Model<IdempotencyKeyRow>>(
      "IdempotencyKey",
      {
        userId: { type: BIGINT, primaryKey: true },
        key: { type: TEXT, primaryKey: true },
        kind: TEXT,
        refusal: TEXT,
        amount: BIGINT,
        balance: BIGINT,
        version: BIGINT,
        operationId: UUID,
        createdUserId: BIGINT,
        client: INTEGER,
        createdAt: DATE,
      },
      { ...options, tableName: "idempotency_keys" },
    ),
  };
}
