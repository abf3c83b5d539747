/**
 * The closed loop: each lane sends its next request when the one before is answered, so that
 * exactly as many requests are in flight as there are lanes. A server that slows down is asked
 * less; latencies from a closed loop say nothing about a steady stream of arrivals.
 */
import type { Arrival } from "./arrival.ts";
import type { Lane } from "./lane.ts";

export const fireClosedLoop: Arrival = ({ lanes, count, next, signal, onDone }) =>
  new Promise((resolve) => {
    let sent = 0;
    let busy = lanes.length;
    const fire = (lane: Lane) => {
      if (sent === count || signal.aborted) {
        busy--;
        if (busy === 0) resolve({ sent, lateness: null });
        return;
      }
      sent++;
      const target = next();
      lane.send(target.shot, (outcome, latencyMs) => {
        onDone(target, outcome, latencyMs);
        fire(lane);
      });
    };
    for (const lane of lanes) fire(lane);
  });
