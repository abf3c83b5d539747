/** Which of those that wait share the next batch. */
import type { Ride } from "./lanes.ts";
import type { Idempotency, Operation, Outcome } from "./operation.ts";

export interface Waiting {
  readonly operation: Operation;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
  ride: Ride;
  /** A number that grows: who came first. */
  readonly arrival: number;
  /**
   * Until when, by performance.now(), it waits for a user that another session has locked: Infinity until
   * it has found one locked, because a wait behind other operations is no wait for a lock.
   */
  deadline: number;
  /** Until when, by performance.now(), it has left, or is told that it will not. */
  readonly leaveBy: number;
}

/** How much of a batch, and of the room for those that wait, an operation takes. */
export function weightOf({ legs }: Operation): number {
  return 1 + (legs?.length ?? 0);
}

/** A key is a user's own; the openings of a client share a scope. */
export function scopedKey({ kind, userId, client }: Operation, { key }: Idempotency): string {
  return `${kind === "opening" ? `creation ${client ?? ""}` : userId}/${key}`;
}

/**
 * The oldest, up to `countMax` with up to `sizeMax` legs (one at least), without a second use of one
 * key; and the rest, in their order.
 */
export function takeBatch(
  waiting: readonly Waiting[],
  countMax: number,
  sizeMax: number,
): { batch: Waiting[]; rest: Waiting[] } {
  const batch: Waiting[] = [];
  const later: Waiting[] = [];
  const keys = new Set<string>();
  let size = 0;
  let next = 0;
  for (; next < waiting.length && batch.length < countMax; next++) {
    const one = waiting[next] as Waiting;
    const { operation } = one;
    const weight = weightOf(operation);
    if (size > 0 && size + weight > sizeMax) break;
    if (operation.idempotency) {
      const key = scopedKey(operation, operation.idempotency);
      if (keys.has(key)) {
        later.push(one);
        continue;
      }
      keys.add(key);
    }
    size += weight;
    batch.push(one);
  }
  return { batch, rest: later.concat(waiting.slice(next)) };
}

export function operationsOf(batch: readonly Waiting[]): Operation[] {
  return batch.map(({ operation }) => operation);
}
