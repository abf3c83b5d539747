import { afterEach, describe, expect, it } from "vitest";
import { buildShot } from "../../src/stress/answer.ts";
import type { Departures, Target } from "../../src/stress/arrival.ts";
import { fireClosedLoop } from "../../src/stress/closed-loop.ts";
import { type Connection, createConnection } from "../../src/stress/connection.ts";
import { createOpenLoop } from "../../src/stress/open-loop.ts";
import { createSchedule } from "../../src/stress/schedule.ts";
import { createSockets } from "../../src/stress/sockets.ts";
import { type FakeServer, startServer } from "../support/server/untrustworthy-server.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

/** A server with one rich user, and `count` connections to it whose sockets are open. */
async function connect(count: number) {
  const server = await startServer();
  const sockets = createSockets(new URL(server.url), 1_000);
  const connections = Array.from({ length: count }, () => createConnection(server.url, sockets));
  cleanups.push(() => {
    sockets.closeAll();
    for (const connection of connections) connection.close();
    return server.close();
  });
  await Promise.all(connections.map((connection) => connection.open()));
  return { server, connections, shot: buildShot("", server.addUser(1_000_000, 1), -2) };
}

interface Seen {
  readonly departures: Departures;
  /** By request, in the order in which they were due; NaN for one without an outcome. */
  readonly latenciesMs: readonly number[];
  /** The beginning of the schedule lies between these two, by performance.now(). */
  readonly beganAfter: number;
  readonly beganBefore: number;
}

async function fireOpenLoop(
  { connections, shot }: Awaited<ReturnType<typeof connect>>,
  rate: number,
  seconds: number,
): Promise<Seen> {
  const schedule = createSchedule(rate, seconds);
  const latenciesMs = new Array<number>(schedule.count).fill(Number.NaN);
  // Requests leave in the order of the schedule, so the number of a target is its place in it.
  let targets = 0;
  let beganBefore = Number.NaN;
  const beganAfter = performance.now();
  const firing = createOpenLoop(
    schedule,
    10_000,
  )({
    connections,
    count: schedule.count,
    next: () => {
      if (targets === 0) beganBefore = performance.now();
      return { user: targets++, shot };
    },
    signal: new AbortController().signal,
    onDone: ({ user }, outcome, latencyMs) => {
      expect(outcome.kind).toBe("succeeded");
      latenciesMs[user] = latencyMs;
    },
  });
  const departures = await firing;
  return { departures, latenciesMs, beganAfter, beganBefore };
}

/**
 * Of each request that was due in the stall: what it took, and what it took at the least, since it
 * cannot have been answered before the stall was over. Server and client share one clock.
 */
function dueInStall(server: FakeServer, rate: number, seen: Seen) {
  const { from, until } = server.stall();
  return seen.latenciesMs.flatMap((latencyMs, index) => {
    const dueMs = (index * 1000) / rate;
    const isInside = seen.beganAfter + dueMs >= from && seen.beganBefore + dueMs < until;
    return isInside ? [{ latencyMs, atLeastMs: until - (seen.beganBefore + dueMs) }] : [];
  });
}

describe("a stall of half a second at 200 requests/s", () => {
  it("shows in the latency of each request that was due in it", async () => {
    const connected = await connect(400);
    connected.server.stallAt(50, 500);
    const seen = await fireOpenLoop(connected, 200, 2);
    expect(seen.departures.sent).toBe(400);
    expect(seen.latenciesMs.every((latencyMs) => latencyMs > 0)).toBe(true);

    const hit = dueInStall(connected.server, 200, seen);
    // One is due every 5 ms: 100 in a half second, less those on the edge of what is known.
    const unsureMs = seen.beganBefore - seen.beganAfter;
    const dueWithin = (ms: number) => Math.floor((ms - unsureMs) / 5);
    expect(hit.length).toBeGreaterThanOrEqual(dueWithin(500));
    expect(hit.length).toBeLessThanOrEqual(100);
    for (const { latencyMs, atLeastMs } of hit) {
      expect(latencyMs).toBeGreaterThanOrEqual(atLeastMs);
    }
    // So the stall weighs as much as it lasted: 80 were due 100 ms or more before its end.
    const slowerThan = (ms: number) => seen.latenciesMs.filter((latency) => latency >= ms).length;
    expect(slowerThan(100)).toBeGreaterThanOrEqual(dueWithin(400));
    expect(slowerThan(300)).toBeGreaterThanOrEqual(dueWithin(200));
    expect(slowerThan(400)).toBeGreaterThanOrEqual(dueWithin(100));
    // None of them was held back: there was a socket for each.
    expect(seen.departures.lateness).toMatchObject({ lateStarts: 0, backlogMax: 0 });
  });

  it("shows as much when there are not enough sockets, and is told apart", async () => {
    const connected = await connect(2);
    connected.server.stallAt(50, 500);
    const seen = await fireOpenLoop(connected, 200, 2);
    expect(seen.departures.sent).toBe(400);
    const hit = dueInStall(connected.server, 200, seen);
    expect(hit.length).toBeGreaterThan(50);
    for (const { latencyMs, atLeastMs } of hit) {
      expect(latencyMs).toBeGreaterThanOrEqual(atLeastMs);
    }
    // Two were in flight; all others that were due in the meantime waited for one of their sockets.
    expect(connected.server.stall().held).toBe(2);
    const { lateStarts, backlogMax, startDelayMs } = seen.departures.lateness ?? {};
    expect(backlogMax).toBeGreaterThanOrEqual(hit.length - 2);
    expect(lateStarts).toBeGreaterThanOrEqual(hit.length - 2);
    const most = Math.max(...hit.slice(2).map(({ atLeastMs }) => atLeastMs));
    expect(startDelayMs?.max).toBeGreaterThan(most - 1);
  });

  it("is hidden from a closed loop: only what is in flight meets it", async () => {
    const { server, connections, shot } = await connect(5);
    server.stallAt(50, 500);
    let outcomes = 0;
    const { sent, lateness } = await fireClosedLoop({
      connections,
      count: 200,
      next: () => ({ user: 0, shot }),
      signal: new AbortController().signal,
      onDone: () => outcomes++,
    });
    expect({ sent, lateness, outcomes }).toEqual({ sent: 200, lateness: null, outcomes: 200 });
    expect(server.stall().held).toBe(5);
  });
});

/** Connections that answer when the test says so. */
function fakeConnections(count: number) {
  const used: number[] = [];
  const waiting: (() => void)[] = [];
  const connections = Array.from(
    { length: count },
    (_, index): Connection => ({
      open: () => Promise.resolve(),
      send: (_shot, done) => {
        used.push(index);
        waiting.push(() => done({ kind: "insufficientFunds" }, 0));
      },
      abandon: () => undefined,
      close: () => undefined,
    }),
  );
  return { connections, used, answerOne: () => waiting.shift()?.() };
}

const target: Target = { user: 0, shot: buildShot("", 1, -2) };

describe("an open loop", () => {
  it("never starts a request before its time, and uses its connections in turn", async () => {
    const { connections, used, answerOne } = fakeConnections(4);
    const schedule = createSchedule(200, 1);
    const firing = {
      connections,
      count: 200,
      signal: new AbortController().signal,
      onDone: () => undefined,
    };
    const startedAt: number[] = [];
    const beganAfter = performance.now();
    await createOpenLoop(
      schedule,
      10_000,
    )({
      ...firing,
      next: () => {
        startedAt.push(performance.now());
        setImmediate(answerOne);
        return target;
      },
    });
    expect(startedAt).toHaveLength(200);
    startedAt.forEach((at, index) => {
      expect(at - beganAfter).toBeGreaterThanOrEqual(schedule.dueMs(index));
    });
    expect(used).toEqual(Array.from({ length: 200 }, (_, index) => index % 4));
  });

  it("gives up on what has not left by the end of its grace, and says how many did", async () => {
    const { connections, used, answerOne } = fakeConnections(3);
    setTimeout(() => {
      for (let i = 0; i < 3; i++) answerOne();
    }, 1_300);
    const { sent, lateness } = await createOpenLoop(
      createSchedule(100, 1),
      200,
    )({
      connections,
      count: 100,
      next: () => target,
      signal: new AbortController().signal,
      onDone: () => undefined,
    });
    expect({ sent, used }).toEqual({ sent: 3, used: [0, 1, 2] });
    expect(lateness).toMatchObject({ lateStarts: 97, backlogMax: 97 });
  });

  it("ends at once when aborted while nothing is in flight", async () => {
    const { connections, answerOne } = fakeConnections(1);
    const abort = new AbortController();
    const done: number[] = [];
    setTimeout(answerOne, 20);
    const startedAt = performance.now();
    const { sent, lateness } = await createOpenLoop(
      createSchedule(0.1, 36_000),
      1_000,
    )({
      connections,
      count: 3_600,
      next: () => target,
      signal: abort.signal,
      onDone: (_target, _outcome, latencyMs) => {
        done.push(latencyMs);
        setTimeout(() => abort.abort(), 20);
      },
    });
    expect(sent).toBe(1);
    // Not when the next one is due, ten seconds after the first.
    expect(performance.now() - startedAt).toBeLessThan(9_000);
    expect(done).toHaveLength(1);
    expect(lateness).toMatchObject({ startsPerSecond: expect.closeTo(0.1, 2), lateStarts: 0 });
  });

  it("sends nothing when it was aborted before", async () => {
    const { connections, used } = fakeConnections(1);
    const departures = await createOpenLoop(
      createSchedule(100, 1),
      1_000,
    )({
      connections,
      count: 100,
      next: () => target,
      signal: AbortSignal.abort(),
      onDone: () => undefined,
    });
    expect(departures).toMatchObject({ sent: 0, lateness: { startsPerSecond: 0 } });
    expect(used).toEqual([]);
  });
});
