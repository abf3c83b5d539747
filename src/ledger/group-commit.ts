/**
 * Group commit: while batches of operations are on their way to PostgreSQL, those that arrive share
 * the next one. PostgreSQL groups its own log flushes in the same way.
 *
 * In a lane, which has one connection:
 *
 *     waiting ──the turn of the event loop ends, or full, or one has landed──▶ flying ──▶ answered
 *
 * - Not a queue: an operation that finds its lane idle leaves with the requests read in the same
 *   turn of the event loop. There is no timer, no delay, no worker, and nothing outlives its request.
 * - An operation is answered after the commit that made it, by its own outcome.
 * - Order: a user's operations keep the order of their arrival: while one is pending, the next board
 *   the same lane. Two operations with the same idempotency key do not share a batch: the later one
 *   takes the next, where the database finds the answer of the first.
 * - Two batches fly at once, one behind the other: PostgreSQL runs them one by one and goes from the
 *   first to the second without waiting until this process has read an answer and sent the next
 *   statement. The second leaves when as many wait as are in the first: two that are small cost
 *   more than they save. Until then those who come wait for the first to land.
 * - Lanes are filled one after another, because one batch costs less than two halves (measured with
 *   10,000 users and 64 connections: 41 us of PostgreSQL's time an operation in one lane, 69 us in
 *   two). The next lane is opened when `room` operations wait, or when the flight ahead has stalled.
 * - Balance: callers that come back at once keep the sizes of two alternating batches for ever, and
 *   4 and 60 take as long as 60 and 60. So a batch that follows another takes no more than half of
 *   those in the other and those who wait: 64 callers settle at 32 and 32, and while PostgreSQL works
 *   for one half this process serves the other (18,500 requests a second instead of 16,000).
 * - Bounds: two batches in flight a lane, batchSizeMax operations a batch, waitingMax waiting in all
 *   lanes; beyond that OVERLOADED, at once. A lane whose user is locked by another session stalls
 *   until the lock timeout, with those who boarded it before; everybody else takes another lane.
 * - A crash loses nothing that was answered. An operation that was in flight is committed or not;
 *   its caller got no answer and can look, or repeat it under its idempotency key.
 * - When the database refuses a whole batch over its data, everything was rolled back, and each
 *   operation is run once more, alone, so that one cannot spoil another's day; behind the batch
 *   that may have left in the meantime.
 */
import { failedOnData } from "../database/translate-error.ts";
import { BalancectlError } from "../errors.ts";
import type { Operation, Outcome } from "./operation.ts";
import { takeBatch, type Waiting } from "./take-batch.ts";

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
  readonly apply: (operations: readonly Operation[], lane: number) => Promise<Outcome[]>;
  readonly observer?: LedgerObserver | undefined;
}

/** What metrics and logs hang on. Called synchronously: keep it short. */
export interface LedgerObserver {
  batchCommitted?(batch: { lane: number; operations: number; durationMs: number }): void;
  batchFailed?(batch: { lane: number; operations: number; error: BalancectlError }): void;
}

interface Lane {
  readonly index: number;
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
interface Ride {
  readonly lane: Lane;
  pending: number;
}

/**
 * Operations waiting in a lane before another is opened. With 64 callers on 10,000 users 8, 16 and 24
 * cost PostgreSQL 53 to 57 us an operation, 100 costs 38 to 44.
 */
const room = 100;

/**
 * Batches in flight in a lane. With 64 callers on 10,000 users and the database on the same machine
 * two make 1.3 times the changes of one, with the database 1 ms away 1.4 times; three make no more.
 */
const flightsMax = 2;

/** A flight longer than this takes no new users: ten times the usual one, and a hundredth of the lock timeout. */
const stalledAfterMs = 20;

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { batchSizeMax, waitingMax, apply, observer } = options;
  const lanes = Array.from({ length: options.lanes }, (_, index): Lane => {
    return { index, waiting: [], isBoarding: false, flights: 0, flying: 0, since: 0 };
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
      // A burst of thousands is one long turn: what is full leaves while the rest is being read.
      if (lane.waiting.length >= batchSizeMax) takeOff(lane);
      else if (lane.flights < flightsMax && !lane.isBoarding) board(lane);
    });
  }

  /**
   * Leaves at the end of this turn of the event loop: requests that the kernel handed over together
   * share the batch, instead of the first leaving alone and the rest waiting for its flush.
   */
  function board(lane: Lane): void {
    lane.isBoarding = true;
    setImmediate(() => {
      lane.isBoarding = false;
      takeOff(lane);
    });
  }

  /** @param landed how many landed just now: they are about to come back */
  function takeOff(lane: Lane, landed = 0): void {
    while (lane.waiting.length > 0 && lane.flights < flightsMax) {
      if (lane.waiting.length < lane.flying) return;
      const others = lane.flying || landed;
      const half = Math.ceil((others + lane.waiting.length) / 2);
      const countMax = others === 0 ? batchSizeMax : half;
      const { batch, rest } = takeBatch(lane.waiting, countMax, batchSizeMax);
      lane.waiting = rest;
      void fly(lane, batch);
    }
  }

  /** Never rejects. */
  async function fly(lane: Lane, batch: Waiting[]): Promise<void> {
    const leftAt = performance.now();
    if (lane.flights === 0) lane.since = leftAt;
    lane.flights += 1;
    lane.flying += batch.length;
    const operations = batch.map(({ operation }) => operation);
    try {
      const outcomes = await apply(operations, lane.index);
      settle(batch, outcomes);
      const durationMs = performance.now() - leftAt;
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
    lane.flights -= 1;
    lane.flying -= batch.length;
    lane.since = performance.now();
    takeOff(lane, batch.length);
    if (busy()) return;
    for (const listener of idleListeners) listener();
    idleListeners = [];
  }

  async function applyEachAlone(lane: Lane, batch: Waiting[]): Promise<void> {
    for (const one of batch) {
      try {
        settle([one], await apply([one.operation], lane.index));
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
    return lanes.some(({ flights, waiting }) => flights > 0 || waiting.length > 0);
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
    if (lane.flights > 0 && performance.now() - lane.since > stalledAfterMs) continue;
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

function settle(batch: Waiting[], outcomes: Outcome[]): void {
  batch.forEach(({ resolve, reject }, index) => {
    const outcome = outcomes[index];
    if (outcome) resolve(outcome);
    else reject(new BalancectlError("INTERNAL", "The batch came back without this outcome"));
  });
}
