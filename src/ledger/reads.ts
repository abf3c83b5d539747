/** What can be asked of the ledger. A user is looked up first, and what is due to them given back. */
import { literal, Op, type WhereOptions } from "sequelize";
import type { Database } from "../database/connection.ts";
import type { UserRow } from "../database/models.ts";
import { asReadFailure, translateError } from "../database/translate-error.ts";
import { BalancectlError } from "../errors.ts";
import type { Actors } from "./actors.ts";
import { balanceAt, type Entry, type HistoryQuery, readHistory } from "./history.ts";
import { findHold, type Hold, type HoldPosition, listHolds } from "./holds.ts";
import {
  findStoredOpening,
  findStoredOperation,
  type StoredOperation,
} from "./stored-operation.ts";
import { findTransfer, type Transfer } from "./transfers.ts";

export type User = UserRow;

/** Each of a user throws BalancectlError USER_NOT_FOUND, and all of them DATABASE_UNAVAILABLE. */
export interface Reads {
  /** The user as of now. */
  user(userId: number): Promise<User>;
  /** Users with an id beyond `after`, in id order. */
  users(after: number, limit: number): Promise<User[]>;
  /**
   * The balance right after everything that happened up to and including `at`.
   * @throws BalancectlError USER_NOT_FOUND before the user was there, INVALID_REQUEST for a time to come
   */
  balanceAt(userId: number, at: Date): Promise<number>;
  /** @returns at most `limit` entries, and whether more follow */
  entries(query: HistoryQuery): Promise<{ entries: Entry[]; more: boolean }>;
  /** Open holds first, then closed ones, newest first in each. */
  holds(userId: number, position: HoldPosition, limit: number): Promise<Hold[]>;
  /** @throws BalancectlError HOLD_NOT_FOUND */
  hold(userId: number, holdId: string): Promise<Hold>;
  /** @throws BalancectlError TRANSFER_NOT_FOUND */
  transfer(id: string): Promise<Transfer>;
  /**
   * What became of a request of this user under its key.
   * @param client whose key it is; undefined for who may see anybody's
   * @throws BalancectlError OPERATION_NOT_FOUND
   */
  storedOperation(userId: number, key: string, client?: number): Promise<StoredOperation>;
  /** The same of an opening. @throws BalancectlError OPERATION_NOT_FOUND */
  storedOpening(key: string, client?: number): Promise<StoredOperation>;
}

/**
 * @param now stands in for the database's clock, or gives null
 * @param giveBack gives back what is due to a user
 */
export function createReads(
  database: Database,
  actors: Actors,
  now: () => Date | null,
  giveBack: (userId: number) => Promise<unknown>,
): Reads {
  /**
   * Users with holds that are due are written first, together, and read again, together. A write gives back so
   * many and no more: what is due beyond them is added here, and given back by the next.
   */
  async function current(users: readonly ReadUser[]): Promise<User[]> {
    const touched = users.filter(({ due }) => due > 0).map(({ id }) => id);
    if (touched.length === 0) return users.map(asGivenBack);
    await touchAll(touched);
    const again = await readUsers(database, { id: touched }, now());
    const written = new Map(again.map((user) => [user.id, user]));
    return users.map((user) => asGivenBack(written.get(user.id) ?? user));
  }

  async function touchAll(userIds: readonly number[]): Promise<void> {
    await Promise.all(userIds.map(giveBack)).catch((error) => {
      throw asReadFailure(error);
    });
  }

  async function existing(userId: number): Promise<User> {
    const [user] = await current(await readUsers(database, { id: userId }, now()));
    if (user !== undefined) return user;
    throw new BalancectlError("USER_NOT_FOUND", `User ${userId} not found`);
  }

  return {
    user: existing,
    users: async (after, limit) =>
      await current(await readUsers(database, { id: { [Op.gt]: after } }, now(), limit)),
    balanceAt: async (userId, at) => {
      const { createdAt, updatedAt } = await existing(userId);
      if (at < createdAt) {
        const since = createdAt.toISOString();
        throw new BalancectlError("USER_NOT_FOUND", `User ${userId} exists only since ${since}`);
      }
      // What the database has stamped has been, whatever this machine's clock says.
      if (at > new Date() && at > updatedAt) {
        throw new BalancectlError("INVALID_REQUEST", "at is in the future; leave it out for now");
      }
      return await balanceAt(database, userId, at);
    },
    entries: async (query) => {
      await existing(query.userId);
      return await readHistory(database, actors, query);
    },
    holds: async (userId, position, limit) => {
      await existing(userId);
      return await listHolds(database, userId, position, limit);
    },
    hold: async (userId, holdId) => {
      await existing(userId);
      return found(await findHold(database, userId, holdId), "HOLD_NOT_FOUND");
    },
    transfer: async (id) => found(await findTransfer(database, id), "TRANSFER_NOT_FOUND"),
    storedOperation: async (userId, key, client) => {
      const stored = await findStoredOperation(database, userId, key);
      if (stored !== null) return ownedBy(client, stored);
      // It may still be on its way, behind a lock: what is not there when we have waited for the same lock is not.
      await touchAll([userId]);
      return ownedBy(client, await findStoredOperation(database, userId, key));
    },
    storedOpening: async (key, client) =>
      ownedBy(client, await findStoredOpening(database, key, client)),
  };
}

/** Another client's is not there. */
function ownedBy(client: number | undefined, stored: StoredOperation | null): StoredOperation {
  const isOwn = client === undefined || stored?.client === client;
  return found(isOwn ? stored : null, "OPERATION_NOT_FOUND");
}

function found<T>(
  value: T | null,
  code: "HOLD_NOT_FOUND" | "TRANSFER_NOT_FOUND" | "OPERATION_NOT_FOUND",
): T {
  if (value === null) throw new BalancectlError(code);
  return value;
}

/** With the sum of the holds that are due, by the database's clock, which also gives them back. */
type ReadUser = User & { due: number };

function asGivenBack({ due, balance, held, ...user }: ReadUser): User {
  return { ...user, balance: balance + due, held: held - due };
}

/** In id order. @param now stands in for the database's clock */
async function readUsers(
  database: Database,
  where: WhereOptions<UserRow>,
  now: Date | null,
  limit?: number,
): Promise<ReadUser[]> {
  // One look at the clock a query, which an index can be searched by.
  const clock = now === null ? "(SELECT clock_timestamp())" : `'${now.toISOString()}'::timestamptz`;
  const due = literal(
    `CASE WHEN next_expiry_at <= ${clock} THEN
       (SELECT coalesce(sum(h.amount), 0)::bigint FROM holds h
         WHERE h.user_id = "User".id AND h.state = 'open' AND h.expires_at <= ${clock})
     ELSE 0::bigint END`,
  );
  try {
    const rows = await database.models.User.findAll({
      attributes: { include: [[due, "due"]] },
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
