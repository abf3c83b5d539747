/**
 * The closed loop: each connection sends its next request when the one before is answered, so that
 * exactly as many requests are in flight as there are connections. A server that slows down is asked
 * less; latencies from a closed loop say nothing about a steady stream of arrivals.
 */
import type { Arrival } from "./arrival.ts";
import type { Connection } from "./connection.ts";

export const fireClosedLoop: Arrival = ({ connections, count, next, signal, onDone }) =>
  new Promise((resolve) => {
    let sent = 0;
    let busy = connections.length;
    const fire = (connection: Connection) => {
      if (sent === count || signal.aborted) {
        busy--;
        if (busy === 0) resolve({ sent, lateness: null });
        return;
      }
      sent++;
      const target = next();
      connection.send(target.shot, (outcome, latencyMs) => {
        onDone(target, outcome, latencyMs);
        fire(connection);
      });
    };
    for (const connection of connections) fire(connection);
  });
