/** The ledger: everything that can be asked of balances, on one database. */
import { literal, Op, type WhereOptions } from "sequelize";
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

  /** Users with holds that are due are written first, together, and read again, together. */
  async function current(users: readonly ReadUser[]): Promise<User[]> {
    const time = now();
    const isDue = ({ due, nextExpiryAt }: ReadUser) =>
      time === null ? due : nextExpiryAt !== null && nextExpiryAt <= time;
    const touched = users.filter(isDue).map(({ id }) => id);
    if (touched.length === 0) return users.map(withoutDue);
    await Promise.all(touched.map((id) => commit.submit(touch(id))));
    const again = await readUsers(database, { id: touched });
    const written = new Map(again.map((user) => [user.id, user]));
    return users.map((user) => withoutDue(written.get(user.id) ?? user));
  }

  return {
    database,
    apply: commit.submit,
    openUser,
    findUser: async (userId) =>
      (await current(await readUsers(database, { id: userId })))[0] ?? null,
    listUsers: async (after, limit) =>
      await current(await readUsers(database, { id: { [Op.gt]: after } }, limit)),
    drained: commit.drained,
  };
}

/** Whether a hold is due is asked of the database's clock, which also gives it back. */
type ReadUser = User & { due: boolean };
const due: [ReturnType<typeof literal>, string] = [
  literal("coalesce(next_expiry_at <= clock_timestamp(), false)"),
  "due",
];

function withoutDue({ due: _, ...user }: ReadUser): User {
  return user;
}

/** In id order. */
async function readUsers(
  database: Database,
  where: WhereOptions<UserRow>,
  limit?: number,
): Promise<ReadUser[]> {
  try {
    const rows = await database.models.User.findAll({
      attributes: { include: [due] },
      where,
      order: [["id", "asc"]],
      ...(limit !== undefined && { limit }),
      raw: true,
    });
    return rows as unknown as ReadUser[];
  } catch (error) {
    throw translateError(error);
  }
}
