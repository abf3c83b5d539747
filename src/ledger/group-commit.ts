/**
 * Group commit: while one batch of operations is on its way to PostgreSQL, those that arrive share
 * the next one. PostgreSQL groups its own log flushes in the same way.
 *
 * A lane has three states:
 *
 *     idle ──submit──▶ boarding ──the turn of the event loop ends, or full──▶ flying
 *      ▲                                                                     │  ▲ │
 *      └──────────────────── answered, nothing waits ────────────────────────┘  └─┘ answered, some
 *                                                               wait: take a batch and fly again
 *
 * - Not a queue: an operation that finds its lane idle leaves with the requests read in the same
 *   turn of the event loop. There is no timer, no delay, no worker, and nothing outlives its request.
 * - An operation is answered after the commit that made it, by its own outcome.
 * - Order: a user's operations keep the order of their arrival: while one is pending, the next board
 *   the same lane. Two operations with the same idempotency key do not share a batch: the later one
 *   waits for the next, where the database finds the answer of the first.
 * - Lanes are filled one after another, because one batch costs less than two halves (measured with
 *   10,000 users and 64 connections: 41 us of PostgreSQL's time an operation in one lane, 69 us in
 *   two). The next lane is opened when `room` operations wait, or when the flight ahead has stalled.
 * - Balance: callers that come back at once keep the sizes of two alternating batches for ever, and
 *   4 and 60 take as long as 60 and 60. So a batch that follows another takes no more than half of
 *   those who landed and those who wait: 64 callers settle at 32 and 32, and while PostgreSQL works
 *   for one half this process serves the other (18,500 requests a second instead of 16,000).
 * - Bounds: one batch in flight a lane, batchSizeMax operations a batch, waitingMax waiting in all
 *   lanes; beyond that OVERLOADED, at once. A lane whose user is locked by another session stalls
 *   until the lock timeout, with those who boarded it before; everybody else takes another lane.
 * - A crash loses nothing that was answered. An operation that was in flight is committed or not;
 *   its caller got no answer and can look, or repeat it under its idempotency key.
 * - When the database refuses a whole batch over its data, everything was rolled back, and each
 *   operation is run once more, alone, so that one cannot spoil another's day.
 */
import { failedOnData } from "../database/translate-error.ts";
import { BalancectlError } from "../errors.ts";
import type { Operation, Outcome } from "./operation.ts";

export interface GroupCommit {
  /** @throws BalancectlError OVERLOADED, and whatever applying the batch throws */
  submit(operation: Operation): Promise<Outcome>;
  /** Resolves when nothing waits and nothing is in flight. */
  drained(): Promise<void>;
}

export interface GroupCommitOptions {
  readonly lanes: number;
  readonly batchSizeMax: number;
  readonly waitingMax: number;
  readonly apply: (operations: readonly Operation[]) => Promise<Outcome[]>;
  readonly observer?: LedgerObserver | undefined;
}

/** What metrics and logs hang on. Called synchronously: keep it short. */
export interface LedgerObserver {
  batchCommitted?(batch: { lane: number; operations: number; durationMs: number }): void;
  batchFailed?(batch: { lane: number; operations: number; error: BalancectlError }): void;
}

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly index: number;
  state: "idle" | "boarding" | "flying";
  waiting: Waiting[];
  /** When the flight began, by performance.now(). */
  since: number;
}

/** The lane of a user while anything of theirs is pending. */
interface Ride {
  readonly lane: Lane;
  pending: number;
}

/**
 * Operations waiting in a lane before another is opened. With 64 callers on 10,000 users 8, 16 and 24
 * cost PostgreSQL 53 to 57 us an operation, 100 costs 38 to 44.
 */
const room = 100;

/** A flight longer than this takes no new users: ten times the usual one, and a hundredth of the lock timeout. */
const stalledAfterMs = 20;

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { batchSizeMax, waitingMax, apply, observer } = options;
  const lanes = Array.from({ length: options.lanes }, (_, index): Lane => {
    return { index, state: "idle", waiting: [], since: 0 };
  });
  const rides = new Map<number, Ride>();
  let waitingCount = 0;
  let idleListeners: (() => void)[] = [];

  function submit(operation: Operation): Promise<Outcome> {
    const weight = 1 + (operation.legs?.length ?? 0);
    if (waitingCount + weight > waitingMax) {
      return Promise.reject(new BalancectlError("OVERLOADED"));
    }
    waitingCount += weight;
    const lane = boardingLane(operation);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ operation, resolve, reject });
      if (lane.state === "idle") board(lane);
      // A burst of thousands is one long turn: what is full leaves while the rest is being read.
      else if (lane.waiting.length >= batchSizeMax) takeOff(lane);
    });
  }

  /**
   * Leaves at the end of this turn of the event loop: requests that the kernel handed over together
   * share the batch, instead of the first leaving alone and the rest waiting for its flush.
   */
  function board(lane: Lane): void {
    lane.state = "boarding";
    setImmediate(() => takeOff(lane));
  }

  function takeOff(lane: Lane): void {
    if (lane.state === "boarding") void fly(lane);
  }

  /** Flies batch after batch until nothing waits in the lane. Never rejects. */
  async function fly(lane: Lane): Promise<void> {
    lane.state = "flying";
    let landed = 0;
    while (lane.waiting.length > 0) {
      const half = Math.ceil((landed + lane.waiting.length) / 2);
      const batch = takeBatch(lane, landed === 0 ? batchSizeMax : half, batchSizeMax);
      landed = batch.length;
      lane.since = performance.now();
      const operations = batch.map(({ operation }) => operation);
      try {
        const outcomes = await apply(operations);
        settle(batch, outcomes);
        const durationMs = performance.now() - lane.since;
        tell(() =>
          observer?.batchCommitted?.({ lane: lane.index, operations: batch.length, durationMs }),
        );
      } catch (error) {
        if (failedOnData(error)) await applyEachAlone(lane, batch);
        else fail(lane, batch, error);
      }
      for (const { operation } of batch) {
        waitingCount -= 1 + (operation.legs?.length ?? 0);
        leave(operation);
      }
    }
    lane.state = "idle";
    if (busy()) return;
    for (const listener of idleListeners) listener();
    idleListeners = [];
  }

  async function applyEachAlone(lane: Lane, batch: Waiting[]): Promise<void> {
    for (const one of batch) {
      try {
        settle([one], await apply([one.operation]));
      } catch (error) {
        fail(lane, [one], error);
      }
    }
  }

  function fail(lane: Lane, batch: Waiting[], error: unknown): void {
    if (error instanceof BalancectlError) {
      tell(() => observer?.batchFailed?.({ lane: lane.index, operations: batch.length, error }));
    }
    for (const { reject } of batch) reject(error);
  }

  function busy(): boolean {
    return lanes.some(({ state }) => state !== "idle");
  }

  function boardingLane(operation: Operation): Lane {
    const id = rider(operation);
    const ride = rides.get(id);
    if (ride) {
      ride.pending += 1;
      return ride.lane;
    }
    const lane = laneWithRoom(lanes);
    rides.set(id, { lane, pending: 1 });
    return lane;
  }

  function leave(operation: Operation): void {
    const id = rider(operation);
    const ride = rides.get(id) as Ride;
    ride.pending -= 1;
    if (ride.pending === 0) rides.delete(id);
  }

  return {
    submit,
    drained: () =>
      busy() ? new Promise((resolve) => idleListeners.push(resolve)) : Promise.resolve(),
  };
}

/** A transfer rides with the lower id, so that a pair that pays both ways shares one lane. */
function rider({ userId, toUserId }: Operation): number {
  return toUserId === undefined ? userId : Math.min(userId, toUserId);
}

/** The first with room; without one, the emptiest of those that move, or of all. */
function laneWithRoom(lanes: readonly Lane[]): Lane {
  let best: Lane | undefined;
  for (const lane of lanes) {
    if (lane.state === "flying" && performance.now() - lane.since > stalledAfterMs) continue;
    if (lane.waiting.length < room) return lane;
    if (best === undefined || lane.waiting.length < best.waiting.length) best = lane;
  }
  return best ?? emptiest(lanes);
}

function emptiest(lanes: readonly Lane[]): Lane {
  return lanes.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
}

/** An observer that fails must not stop a lane: its operations would never be answered. */
function tell(observe: () => void): void {
  try {
    observe();
  } catch {
    // Nothing to tell it to.
  }
}

/**
 * The oldest of the lane, up to `countMax` with up to `sizeMax` legs (one at least), without a
 * second use of one key.
 */
function takeBatch(lane: Lane, countMax: number, sizeMax: number): Waiting[] {
  const batch: Waiting[] = [];
  const later: Waiting[] = [];
  const keys = new Set<string>();
  let size = 0;
  let next = 0;
  for (; next < lane.waiting.length && batch.length < countMax; next++) {
    const one = lane.waiting[next] as Waiting;
    const { operation } = one;
    const weight = 1 + (operation.legs?.length ?? 0);
    if (size > 0 && size + weight > sizeMax) break;
    if (operation.idempotency) {
      const scope = operation.kind === "opening" ? 0 : operation.userId;
      const key = `${scope}/${operation.idempotency.key}`;
      if (keys.has(key)) {
        later.push(one);
        continue;
      }
      keys.add(key);
    }
    size += weight;
    batch.push(one);
  }
  lane.waiting = later.concat(lane.waiting.slice(next));
  return batch;
}

function settle(batch: Waiting[], outcomes: Outcome[]): void {
  batch.forEach(({ resolve, reject }, index) => {
    const outcome = outcomes[index];
    if (outcome) resolve(outcome);
    else reject(new BalancectlError("INTERNAL", "The batch came back without this outcome"));
  });
}
