/**
 * One stress run from beginning to end, as a client of the HTTP API and nothing else:
 *
 *     funding -> opening -> firing -> reading -> report
 *
 * It returns a plain report and never prints. An abort while opening or firing goes straight on to
 * reading, so that what was seen until then is reported.
 */
import { randomInt, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { checkFileLimits } from "../file-limits.ts";
import { buildShot } from "./answer.ts";
import { type Api, createApi, pathPrefix } from "./api.ts";
import type { Departures, Target } from "./arrival.ts";
import { fireClosedLoop } from "./closed-loop.ts";
import { type Connection, createConnection } from "./connection.ts";
import { createOpenLoop } from "./open-loop.ts";
import { createProgress, type Progress, type StressObserver } from "./progress.ts";
import { createSchedule, type Schedule } from "./schedule.ts";
import { createSockets, openInWindow, type Sockets } from "./sockets.ts";
import { checkStressOptions, type StressOptions } from "./stress-options.ts";
import { buildReport, type StressReport } from "./stress-report.ts";
import type { Subject, SubjectAfter } from "./subject.ts";
import { prepareSubjects, readAllBack } from "./subjects.ts";
import { createTally, type Tally } from "./tally.ts";
import { countPicks, createPicker, type Picks } from "./user-picks.ts";

const timeoutMsDefault = 30_000;
// At most this many connects under way at once; see openInWindow.
const openingWindow = 256;
// Users funded or read back at the same time: well within the files that checkFileLimits spares.
const apisMax = 32;
// After an abort somebody is waiting at the terminal.
const readBackAfterAbortMs = 3_000;

/**
 * @throws BalancectlError INVALID_REQUEST for options that make no sense or too few file
 * descriptors; USER_NOT_FOUND for a `userId` that does not exist; SERVER_FAILED when the server
 * cannot be reached or does not do its part before the first withdrawal. Later nothing throws: it
 * is in the report. An abort before the first socket is opened rejects with the signal's reason.
 */
export async function runStress(
  options: StressOptions,
  observer: StressObserver = () => undefined,
): Promise<StressReport> {
  const url = checkStressOptions(options);
  const progress = createProgress(observer);
  try {
    const plan = createPlan(url, options, progress);
    const { requests, picks, amount, signal } = plan;
    checkFileLimits(plan.concurrency);
    signal.throwIfAborted();
    progress.begin("funding", picks.users);
    const requestsOf = await countPicks(picks, requests, signal);
    const before = await prepare(plan, options);
    const tally = createTally(before[0]?.balance ?? 0, amount, requestsOf);
    const fired = await openAndFire(plan, before, tally);
    // An abort from here on takes nothing away from the run: all its requests are done.
    const interrupted = signal.aborted;
    progress.begin("reading", picks.users);
    const after = await readAfter(plan, before, tally);
    return buildReport({ ...plan, ...fired, interrupted, tally, requestsOf, before, after });
  } finally {
    progress.stop();
  }
}

interface Plan {
  readonly url: URL;
  readonly requests: number;
  readonly concurrency: number;
  readonly amount: number;
  readonly picks: Picks;
  /** Null in a closed loop. */
  readonly schedule: Schedule | null;
  readonly timeoutMs: number;
  readonly keys: boolean;
  readonly token: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

interface Fired extends Departures {
  readonly sockets: number;
  readonly durationMs: number;
}

function createPlan(url: URL, options: StressOptions, progress: Progress): Plan {
  const { count = 0, rate, durationSeconds, users = 1, skew = 0, amount } = options;
  const isOpen = rate !== undefined && durationSeconds !== undefined;
  const schedule = isOpen ? createSchedule(rate, durationSeconds) : null;
  const requests = schedule?.count ?? count;
  return {
    url,
    requests,
    concurrency: Math.min(options.concurrency, requests),
    amount,
    picks: { users, skew, seed: options.seed ?? randomInt(2 ** 32) },
    schedule,
    timeoutMs: options.timeoutMs ?? timeoutMsDefault,
    keys: options.keys ?? false,
    token: options.token,
    signal: options.signal ?? new AbortController().signal,
    progress,
  };
}

async function prepare(plan: Plan, wanted: StressOptions): Promise<Subject[]> {
  const { picks, signal, progress } = plan;
  try {
    return await withApis(plan, signal, (apis) =>
      prepareSubjects(apis, wanted, picks.users, progress.step),
    );
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

async function openAndFire(plan: Plan, users: readonly Subject[], tally: Tally): Promise<Fired> {
  const { url, requests, concurrency, amount, timeoutMs, token, signal, progress, schedule } = plan;
  const sockets = createSockets(url, timeoutMs);
  const nextKey = plan.keys ? createKeys() : undefined;
  const connections = Array.from({ length: concurrency }, () =>
    createConnection(url.origin, sockets, nextKey),
  );
  const stopWatching = watchInFlight(connections, sockets, timeoutMs, signal);
  try {
    progress.begin("opening", concurrency);
    await openInWindow(concurrency, openingWindow, signal, async (index) => {
      // What cannot be opened is tried once more by the connection's first request, and counted there.
      await connections[index]?.open().catch(() => undefined);
      progress.step();
    });
    const prefix = pathPrefix(url);
    const targets = users.map(({ id }, user) => ({
      user,
      shot: buildShot(prefix, id, -amount, token),
    }));
    const pick = createPicker(plan.picks);
    const arrival = schedule ? createOpenLoop(schedule, timeoutMs) : fireClosedLoop;
    progress.begin("firing", requests);
    const startedAt = performance.now();
    const departures = await arrival({
      connections,
      count: requests,
      next: () => targets[pick()] as Target,
      signal,
      onDone: ({ user }, outcome, latencyMs) => {
        tally.add(outcome, latencyMs, user);
        progress.step(tally.failed());
      },
    });
    const durationMs = performance.now() - startedAt;
    return { ...departures, sockets: sockets.peak(), durationMs };
  } finally {
    stopWatching();
    sockets.closeAll();
    for (const connection of connections) connection.close();
  }
}

/** Keys that no other run has. */
function createKeys(): () => string {
  const run = randomUUID();
  let count = 0;
  return () => `${run}-${count++}`;
}

/** Gives up on requests that are overdue, and on all of them when the run is aborted. */
function watchInFlight(
  connections: readonly Connection[],
  sockets: Sockets,
  timeoutMs: number,
  signal: AbortSignal,
): () => void {
  const sweep = () => {
    const before = performance.now() - timeoutMs;
    for (const connection of connections) connection.abandon(before, "timeout");
  };
  const interrupt = () => {
    sockets.closeAll();
    for (const connection of connections)
      connection.abandon(Number.POSITIVE_INFINITY, "interrupted");
  };
  // One timer for all instead of one a request; late by a tenth of the limit at the most.
  const timer = setInterval(sweep, Math.min(Math.max(timeoutMs / 10, 10), 1_000));
  signal.addEventListener("abort", interrupt, { once: true });
  return () => {
    clearInterval(timer);
    signal.removeEventListener("abort", interrupt);
  };
}

async function readAfter(
  plan: Plan,
  before: readonly Subject[],
  tally: Tally,
): Promise<SubjectAfter[]> {
  const { amount, signal, progress } = plan;
  const bound = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const hurry = () => {
    timer = setTimeout(() => bound.abort(), readBackAfterAbortMs);
  };
  if (signal.aborted) hurry();
  else signal.addEventListener("abort", hurry, { once: true });
  try {
    return await withApis(plan, bound.signal, (apis) =>
      readAllBack(apis, before, -amount, tally.countsOf, () => progress.step(tally.failed())),
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", hurry);
  }
}

async function withApis<T>(
  { url, timeoutMs, picks, keys, token }: Plan,
  signal: AbortSignal,
  work: (apis: readonly Api[]) => Promise<T>,
): Promise<T> {
  const length = Math.min(picks.users, apisMax);
  // A signal of their own: every request listens to it, and Node warns where more than ten do.
  const shared = AbortSignal.any([signal]);
  setMaxListeners(0, shared);
  const options = { timeoutMs, signal: shared, keys, token };
  const apis = Array.from({ length }, () => createApi(url, options));
  try {
    return await work(apis);
  } finally {
    await Promise.all(apis.map((api) => api.close()));
  }
}
