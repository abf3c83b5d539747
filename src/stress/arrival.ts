/** What the closed and the open loop have in common: they decide when requests leave, not which. */
import type { Outcome, Shot } from "./answer.ts";
import type { Connection } from "./connection.ts";
import type { LatencyPercentiles } from "./latency.ts";

/** One user of the run, as a target of requests. */
export interface Target {
  /** Which of the run's users, from 0 on. */
  readonly user: number;
  readonly shot: Shot;
}

/** What an arrival process is given; it decides when each request leaves, and over which connection. */
export interface Firing {
  readonly connections: readonly Connection[];
  readonly count: number;
  /** Where the next request goes. Called once a request, in the order in which they leave. */
  readonly next: () => Target;
  /** No request leaves after this is aborted; those in flight are ended by the caller. */
  readonly signal: AbortSignal;
  /** Called exactly once a request that was sent. */
  readonly onDone: (target: Target, outcome: Outcome, latencyMs: number) => void;
}

/** How well an open loop kept to its schedule. */
export interface Lateness {
  /** Requests a second that really left, up to the last one. */
  readonly startsPerSecond: number;
  /** Requests for which no socket was free when they were due. */
  readonly lateStarts: number;
  /** How many of them waited at the same time, at the most. */
  readonly backlogMax: number;
  /** From the intended start to the real one, whatever the reason. */
  readonly startDelayMs: LatencyPercentiles;
}

export interface Departures {
  readonly sent: number;
  /** Null where there is no schedule to be late for. */
  readonly lateness: Lateness | null;
}

/** Resolves when each request that was sent has its outcome. */
export type Arrival = (firing: Firing) => Promise<Departures>;
