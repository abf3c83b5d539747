/** Who asks, and what they may. */

/** What a route may ask for; each holds those before it. */
export const rights = ["read", "write", "admin"] as const;
export type Right = (typeof rights)[number];

export interface Caller {
  /** The token's id; undefined where nobody was asked who they are. */
  readonly token: string | undefined;
  readonly right: Right;
  /** Null: all users. */
  readonly userIds: ReadonlySet<number> | null;
  /** Kept on entries: see actor_of(). */
  readonly actor: number | undefined;
  /** Whose their idempotency keys are; undefined for who may see what is stored under anybody's. */
  readonly client: number | undefined;
}

/** Where no tokens are asked for. */
export const anonymous: Caller = {
  ...{ token: undefined, right: "admin", userIds: null },
  ...{ actor: undefined, client: undefined },
};

export function holds(caller: Caller, right: Right): boolean {
  return rights.indexOf(caller.right) >= rights.indexOf(right);
}

export function mayActFor({ userIds }: Caller, userId: number): boolean {
  return userIds === null || userIds.has(userId);
}
