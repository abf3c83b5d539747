/** The ledger: everything that can be asked of balances, on one database. */
import { literal, Op } from "sequelize";
import type { Config } from "../config.ts";
import type { Database } from "../database/connection.ts";
import type { UserRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";
import { applyBatch } from "./apply-batch.ts";
import { createGroupCommit, type LedgerObserver } from "./group-commit.ts";
import type { Operation, Outcome } from "./operation.ts";
import { opening, touch, type WriteOptions } from "./request.ts";
import { createUserIds } from "./user-ids.ts";

export interface Ledger {
  readonly database: Database;
  /** The one way to change a balance. Refusals are outcomes; @throws BalancectlError on failures. */
  apply(operation: Operation): Promise<Outcome>;
  /** Opens a user under the id asked for, or the next free one. */
  openUser(request: OpenUserRequest, options?: WriteOptions): Promise<Outcome>;
  /** The user as of now: holds that are due are given back first. Null when there is none. */
  findUser(userId: number): Promise<User | null>;
  /** Users with an id beyond `after`, in id order. */
  listUsers(after: number, limit: number): Promise<User[]>;
  /** Resolves when every change that was asked for has been answered. */
  drained(): Promise<void>;
}

export type User = UserRow;

export interface OpenUserRequest {
  readonly id?: number | undefined;
  readonly balance: number;
}

export interface LedgerOptions {
  readonly bounds: Pick<
    Config,
    "lanes" | "batchSizeMax" | "waitingMax" | "lockTimeoutMs" | "idempotencyDays"
  >;
  readonly observer?: LedgerObserver | undefined;
  /** Stands in for the database's clock; for tests. */
  readonly now?: (() => Date) | undefined;
}

export function createLedger(database: Database, options: LedgerOptions): Ledger {
  const now = options.now ?? (() => null);
  const keyLifetimeSeconds = options.bounds.idempotencyDays * 86_400;
  const commit = createGroupCommit({
    ...options.bounds,
    observer: options.observer,
    apply: (operations, lane, lockWait) =>
      applyBatch(database.writer(lane), operations, { keyLifetimeSeconds, now: now(), lockWait }),
  });
  const userIds = createUserIds(database);

  async function openUser(
    request: OpenUserRequest,
    writeOptions: WriteOptions = {},
  ): Promise<Outcome> {
    const { id, balance } = request;
    if (id !== undefined) return await commit.submit(opening(id, balance, id, writeOptions));
    return await userIds.open((next) =>
      commit.submit(opening(next, balance, undefined, writeOptions)),
    );
  }

  /** A user with a hold that is due is written first, and read again. */
  async function current({ due, ...user }: ReadUser): Promise<User> {
    const time = now();
    const touched = time === null ? due : user.nextExpiryAt !== null && user.nextExpiryAt <= time;
    if (!touched) return user;
    await commit.submit(touch(user.id));
    return (await readUser(database, user.id)) ?? user;
  }

  return {
    database,
    apply: commit.submit,
    openUser,
    findUser: async (userId) => {
      const user = await readUser(database, userId);
      return user && (await current(user));
    },
    listUsers: async (after, limit) =>
      await Promise.all((await readUsers(database, after, limit)).map(current)),
    drained: commit.drained,
  };
}

/** Whether a hold is due is asked of the database's clock, which also gives it back. */
type ReadUser = User & { due: boolean };
const due: [ReturnType<typeof literal>, string] = [
  literal("coalesce(next_expiry_at <= clock_timestamp(), false)"),
  "due",
];

async function readUser(database: Database, userId: number): Promise<ReadUser | null> {
  try {
    const options = { attributes: { include: [due] }, raw: true };
    const row = await database.models.User.findByPk(userId, options);
    return row as unknown as ReadUser | null;
  } catch (error) {
    throw translateError(error);
  }
}

async function readUsers(database: Database, after: number, limit: number): Promise<ReadUser[]> {
  try {
    const rows = await database.models.User.findAll({
      attributes: { include: [due] },
      where: { id: { [Op.gt]: after } },
      order: [["id", "asc"]],
      limit,
      raw: true,
    });
    return rows as unknown as ReadUser[];
  } catch (error) {
    throw translateError(error);
  }
}
