/**
 * Users whom another session was found to have locked. Their operations keep away from everybody
 * else's for a while, and once a wait has run out the next ones do not wait, they only look:
 *
 *     unknown ──found locked──▶ locked ──a wait ran out──▶ stuck ──found free──▶ locked
 *        ▲                         │                         │
 *        └─────rememberMs without being found locked again───┘
 */
import type { Operation } from "./operation.ts";

export interface LockedAccount {
  readonly userId: number;
  readonly isStuck: boolean;
}

export interface LockedAccounts {
  /** Who of those an operation acts on is remembered as locked; undefined for most operations. */
  among(operation: Operation): LockedAccount | undefined;
  /** Whether an operation on a stuck one may go and look; if not, another has looked just now. */
  mayLook(userId: number): boolean;
  /** A batch has passed these by. */
  found(userIds: readonly number[]): void;
  /** An operation has waited for this one as long as it may. */
  ranOut(userId: number): void;
  /** An operation on this one was applied. */
  applied(userId: number): void;
}

/**
 * After it a user is anybody again; if still locked, one batch pays for it with the lock wait of a shared
 * batch. An account that applications lock often, for less than the lock timeout, stays apart.
 */
const rememberMs = 5_000;

/** Between two looks at a stuck account: however often it is asked for, PostgreSQL is asked ten times a second. */
const lookAgainMs = 100;

export function createLockedAccounts(): LockedAccounts {
  /** In the order in which they will be forgotten. */
  const accounts = new Map<number, { forgetAt: number; isStuck: boolean; lookAt: number }>();

  function remember(userId: number, isStuck: boolean, lookAt: number): void {
    const now = performance.now();
    for (const [id, { forgetAt }] of accounts) {
      if (forgetAt > now) break;
      accounts.delete(id);
    }
    accounts.delete(userId);
    accounts.set(userId, { forgetAt: now + rememberMs, isStuck, lookAt });
  }

  return {
    among: ({ userId, toUserId, legs = [] }) => {
      if (accounts.size === 0) return undefined;
      const now = performance.now();
      const involved = [userId, toUserId, ...legs.flatMap((leg) => [leg.userId, leg.toUserId])];
      for (const id of involved) {
        const account = id === undefined ? undefined : accounts.get(id);
        if (account && account.forgetAt > now) {
          return { userId: id as number, isStuck: account.isStuck };
        }
      }
      return undefined;
    },
    found: (userIds) => {
      for (const id of userIds) {
        const { isStuck = false, lookAt = 0 } = accounts.get(id) ?? {};
        remember(id, isStuck, lookAt);
      }
    },
    ranOut: (userId) => {
      if (!accounts.get(userId)?.isStuck) remember(userId, true, 0);
    },
    mayLook: (userId) => {
      const account = accounts.get(userId);
      const now = performance.now();
      if (!account || now < account.lookAt) return account === undefined;
      account.lookAt = now + lookAgainMs;
      return true;
    },
    applied: (userId) => {
      const account = accounts.get(userId);
      if (account) account.isStuck = false;
    },
  };
}
