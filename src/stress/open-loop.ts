/**
 * The open loop: requests leave when the schedule says, however slow the answers are, as they would
 * from many independent people. A latency is measured from the intended start, not from the moment
 * of sending: otherwise a server that stalls holds back the very requests that would have shown it
 * (Gil Tene's "coordinated omission").
 *
 *     due -> (waiting for a free connection) -> in flight -> done
 *
 * Requests leave in the order of the schedule, so those that wait are a number and not a list, and
 * a run of any length takes constant memory. Connections are used in turn: none is idle for longer than
 * the others, and so for long enough that the server would close it.
 */
import type { Arrival, Firing } from "./arrival.ts";
import type { Connection } from "./connection.ts";
import { createLatencyRecorder } from "./latency.ts";
import type { Schedule } from "./schedule.ts";

/**
 * After the last intended start, what still waits for a connection has `graceMs` to leave. What has not
 * left then never does, and `sent` says so: a run ends even if the server has long been lost.
 */
export function createOpenLoop(schedule: Schedule, graceMs: number): Arrival {
  return (firing) =>
    new Promise((resolve) => {
      startOpenLoop(schedule, graceMs, firing, resolve);
    });
}

function startOpenLoop(
  schedule: Schedule,
  graceMs: number,
  { connections, count, next, signal, onDone }: Firing,
  resolve: (departures: Awaited<ReturnType<Arrival>>) => void,
): void {
  const idle = createRing(connections);
  const backlog = createBacklog(schedule);
  const delays = createLatencyRecorder();
  const endMs = schedule.durationSeconds * 1000 + graceMs;
  const beganAt = performance.now();
  const elapsedMs = () => performance.now() - beganAt;
  let sent = 0;
  let inFlight = 0;
  let lastStartMs = 0;
  let timer: NodeJS.Timeout | undefined;

  const send = (connection: Connection, nowMs: number) => {
    const dueMs = schedule.dueMs(sent);
    const target = next();
    sent++;
    inFlight++;
    lastStartMs = nowMs;
    delays.record(nowMs - dueMs);
    connection.send(target.shot, (outcome) => {
      inFlight--;
      onDone(target, outcome, elapsedMs() - dueMs);
      if (idle.size() === 0) backlog.look(elapsedMs(), sent);
      idle.put(connection);
      pump();
    });
  };
  /** Sends what is due over connections that are free; runs at each intended start and each answer. */
  const pump = () => {
    const isOver = signal.aborted || elapsedMs() > endMs;
    while (!isOver && sent < count && idle.size() > 0) {
      const nowMs = elapsedMs();
      if (schedule.dueMs(sent) > nowMs) break;
      send(idle.take(), nowMs);
    }
    if (isOver || sent === count) {
      if (inFlight === 0) finish();
    } else if (timer === undefined && idle.size() > 0) {
      // Fires up to a millisecond late (0.6 ms in the median), and that is in the latency too.
      // Polling with setImmediate is exact, but was seen to take half a core at 500 requests/s
      // and a whole one at 3,000, which on a small machine is taken from the server under test.
      timer = setTimeout(wake, Math.max(schedule.dueMs(sent) - elapsedMs(), 1));
    }
  };
  const wake = () => {
    timer = undefined;
    pump();
  };
  const finish = () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", pump);
    const startsPerSecond = sent === 0 ? 0 : sent / (lastStartMs / 1000 + 1 / schedule.rate);
    const startDelayMs = delays.percentiles();
    resolve({ sent, lateness: { startsPerSecond, ...backlog.seen(), startDelayMs } });
  };
  signal.addEventListener("abort", pump);
  pump();
}

/** Counts the requests that are due and find no connection free. */
function createBacklog(schedule: Schedule) {
  let lateStarts = 0;
  let backlogMax = 0;
  let dueBefore = 0;
  return {
    /** To be told while no connection is free, before one becomes so. */
    look(elapsedMs: number, sent: number): void {
      const due = schedule.dueCount(elapsedMs);
      backlogMax = Math.max(backlogMax, due - sent);
      lateStarts += Math.max(due - Math.max(dueBefore, sent), 0);
      dueBefore = due;
    },
    seen: () => ({ lateStarts, backlogMax }),
  };
}

/** First in, first out, in place: `shift` of a long array moves the whole of it. */
function createRing(connections: readonly Connection[]) {
  const ring = [...connections];
  let first = 0;
  let size = ring.length;
  return {
    size: () => size,
    /** Only when there is one. */
    take(): Connection {
      const connection = ring[first] as Connection;
      first = (first + 1) % ring.length;
      size--;
      return connection;
    },
    put(connection: Connection): void {
      ring[(first + size) % ring.length] = connection;
      size++;
    },
  };
}
