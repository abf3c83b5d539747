/**
 * The closed loop: each lane sends its next request when the one before is answered, so that
 * exactly as many requests are in flight as there are lanes. A server that slows down is asked
 * less; latencies from a closed loop say nothing about a steady stream of arrivals.
 */
import type { Shot } from "./answer.ts";
import type { Done, Lane } from "./lane.ts";

/** What an arrival process is given; it decides when each request leaves, and over which lane. */
export interface Firing {
  readonly lanes: readonly Lane[];
  readonly shot: Shot;
  readonly count: number;
  /** No request leaves after this is aborted; those in flight are ended by the caller. */
  readonly signal: AbortSignal;
  readonly onDone: Done;
}

/** Resolves when each request that was sent has its outcome, with the number sent. */
export type Arrival = (firing: Firing) => Promise<number>;

export const fireClosedLoop: Arrival = ({ lanes, shot, count, signal, onDone }) =>
  new Promise((resolve) => {
    let sent = 0;
    let busy = lanes.length;
    const next = (lane: Lane) => {
      if (sent === count || signal.aborted) {
        busy--;
        if (busy === 0) resolve(sent);
        return;
      }
      sent++;
      lane.send(shot, (outcome, latencyMs) => {
        onDone(outcome, latencyMs);
        next(lane);
      });
    };
    for (const lane of lanes) next(lane);
  });
