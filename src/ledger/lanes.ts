/** Lanes, and which of them an operation boards. */
import type { LockedAccount } from "./locked-accounts.ts";
import type { LedgerState } from "./observer.ts";
import type { Operation } from "./operation.ts";
import type { Waiting } from "./take-batch.ts";

export interface Lane {
  readonly index: number;
  /**
   * Shared: for everybody. Waiting: for users that another session has locked, until the lock is gone.
   * Asking: for those of them that are stuck; it only looks whether they still are.
   */
  readonly kind: "shared" | "waiting" | "asking";
  waiting: Waiting[];
  /** Whether a batch leaves at the end of this turn of the event loop. */
  isBoarding: boolean;
  /** Batches in flight, and the operations in them. */
  flights: number;
  flying: number;
  /** When PostgreSQL began with the flight that lands next, by performance.now(). */
  since: number;
}

/** The lane of a user while anything of theirs is pending. */
export interface Ride {
  readonly userId: number;
  readonly lane: Lane;
  pending: number;
}

export interface Lanes {
  readonly all: readonly Lane[];
  /** @param locked who of the operation's users is known to be locked */
  board(operation: Operation, locked: LockedAccount | undefined): Ride;
  leave(ride: Ride): void;
  /** Whether anything waits or is in flight. */
  busy(): boolean;
  state(): LedgerState;
}

/**
 * Operations waiting in a lane before another is opened. With 64 callers on 10,000 users 8, 16 and 24
 * cost PostgreSQL 53 to 57 us an operation, 100 costs 38 to 44.
 */
const room = 100;

/** A flight longer than this takes no new users: ten times the usual one. */
const stalledAfterMs = 20;

/** @param count of shared ones; there are as many again that wait, and one that asks */
export function createLanes(count: number): Lanes {
  const all = Array.from({ length: 2 * count + 1 }, (_, index): Lane => {
    const kind = index < count ? "shared" : index < 2 * count ? "waiting" : "asking";
    return { index, kind, waiting: [], isBoarding: false, flights: 0, flying: 0, since: 0 };
  });
  const shared = all.slice(0, count);
  const waiting = all.slice(count, 2 * count);
  const asking = all[2 * count] as Lane;
  const rides = new Map<number, Ride>();
  return {
    all,
    board: (operation, locked) => {
      const userId = locked?.userId ?? rider(operation);
      const ride = rides.get(userId);
      if (
        ride &&
        (!locked || ride.lane.kind === "waiting" || (ride.lane === asking && locked.isStuck))
      ) {
        ride.pending += 1;
        return ride;
      }
      const lane = !locked ? laneWithRoom(shared) : locked.isStuck ? asking : emptiest(waiting);
      const fresh = { userId, lane, pending: 1 };
      rides.set(userId, fresh);
      return fresh;
    },
    leave: (ride) => {
      ride.pending -= 1;
      if (ride.pending === 0 && rides.get(ride.userId) === ride) rides.delete(ride.userId);
    },
    busy: () => all.some(({ flights, waiting }) => flights > 0 || waiting.length > 0),
    state: () => stateOf(all),
  };
}

function stateOf(all: readonly Lane[]): LedgerState {
  const busy = all.filter(({ flying, waiting }) => flying > 0 || waiting.length > 0);
  const states = busy.map(({ index, flying, waiting }) => {
    return { lane: index, waiting: waiting.length, inFlight: flying };
  });
  const sum = (field: "waiting" | "inFlight") => states.reduce((all, one) => all + one[field], 0);
  return { waiting: sum("waiting"), inFlight: sum("inFlight"), lanes: states };
}

/** A transfer rides with the lower id, so that a pair that pays both ways shares one lane. */
function rider({ userId, toUserId }: Operation): number {
  return toUserId === undefined ? userId : Math.min(userId, toUserId);
}

/** The first with room; without one, the emptiest of those that move, or of all. */
function laneWithRoom(lanes: readonly Lane[]): Lane {
  let best: Lane | undefined;
  for (const lane of lanes) {
    if (lane.flights > 0 && performance.now() - lane.since > stalledAfterMs) continue;
    if (lane.waiting.length < room) return lane;
    if (best === undefined || lane.waiting.length < best.waiting.length) best = lane;
  }
  return best ?? emptiest(lanes);
}

function emptiest(lanes: readonly Lane[]): Lane {
  const load = ({ waiting, flying }: Lane) => waiting.length + flying;
  return lanes.reduce((a, b) => (load(b) < load(a) ? b : a));
}
