/**
 * One stress run from beginning to end, as a client of the HTTP API and nothing else:
 *
 *     funding -> opening -> firing -> reading -> report
 *
 * It returns a plain report and never prints. An abort while opening or firing goes straight on to
 * reading, so that what was seen until then is reported.
 */
import { buildShot } from "./answer.ts";
import { createApi, pathPrefix } from "./api.ts";
import { type Arrival, fireClosedLoop } from "./closed-loop.ts";
import { checkFileLimits } from "./file-limits.ts";
import { createLane, type Lane } from "./lane.ts";
import { createProgress, type Progress, type StressObserver } from "./progress.ts";
import { createSockets, openInWindow, type Sockets } from "./sockets.ts";
import { checkStressOptions, type StressOptions } from "./stress-options.ts";
import { buildReport, type StressReport } from "./stress-report.ts";
import { prepareSubject, readBack, type Subject, type SubjectAfter } from "./subject.ts";
import { createTally, type Tally } from "./tally.ts";

const timeoutMsDefault = 30_000;
// At most this many connects under way at once; see openInWindow.
const openingWindow = 256;
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
  const { count: requests, amount } = options;
  const concurrency = Math.min(options.concurrency, requests);
  checkFileLimits(concurrency);
  const signal = options.signal ?? new AbortController().signal;
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  signal.throwIfAborted();

  const progress = createProgress(observer);
  try {
    progress.begin("funding");
    const before = await prepare(url, options, timeoutMs, signal);
    const tally = createTally(before.balance, amount, requests);
    const plan: Plan = { url, requests, concurrency, amount, timeoutMs, signal, progress };
    const fired = await openAndFire(plan, before, tally, fireClosedLoop);
    // An abort from here on takes nothing away from the run: all its requests are done.
    const interrupted = signal.aborted;
    progress.begin("reading");
    const after = await readAfter(plan, before, fired.sent, tally.failed());
    const run = { url, amount, requests, concurrency, interrupted, tally, before, after };
    return buildReport({ ...run, ...fired });
  } finally {
    progress.stop();
  }
}

interface Plan {
  readonly url: URL;
  readonly requests: number;
  readonly concurrency: number;
  readonly amount: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

interface Fired {
  readonly sent: number;
  readonly sockets: number;
  readonly durationMs: number;
}

async function prepare(
  url: URL,
  wanted: StressOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Subject> {
  const api = createApi(url, timeoutMs, signal);
  try {
    return await prepareSubject(api, wanted);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await api.close();
  }
}

async function openAndFire(
  plan: Plan,
  { id }: Subject,
  tally: Tally,
  arrival: Arrival,
): Promise<Fired> {
  const { url, requests, concurrency, amount, timeoutMs, signal, progress } = plan;
  const sockets = createSockets(url, timeoutMs);
  const lanes = Array.from({ length: concurrency }, () => createLane(url.origin, sockets));
  const stopWatching = watchInFlight(lanes, sockets, timeoutMs, signal);
  try {
    progress.begin("opening", concurrency);
    await openInWindow(concurrency, openingWindow, signal, async (index) => {
      // What cannot be opened is tried once more by the lane's first request, and counted there.
      await lanes[index]?.open().catch(() => undefined);
      progress.step();
    });
    progress.begin("firing", requests);
    const startedAt = performance.now();
    const sent = await arrival({
      lanes,
      shot: buildShot(pathPrefix(url), id, -amount),
      count: requests,
      signal,
      onDone: (outcome, latencyMs) => {
        tally.add(outcome, latencyMs);
        progress.step(tally.failed());
      },
    });
    return { sent, sockets: sockets.peak(), durationMs: performance.now() - startedAt };
  } finally {
    stopWatching();
    sockets.closeAll();
    for (const lane of lanes) lane.close();
  }
}

/** Gives up on requests that are overdue, and on all of them when the run is aborted. */
function watchInFlight(
  lanes: readonly Lane[],
  sockets: Sockets,
  timeoutMs: number,
  signal: AbortSignal,
): () => void {
  const sweep = () => {
    const before = performance.now() - timeoutMs;
    for (const lane of lanes) lane.abandon(before, "timeout");
  };
  const interrupt = () => {
    sockets.closeAll();
    for (const lane of lanes) lane.abandon(Number.POSITIVE_INFINITY, "interrupted");
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
  { url, amount, timeoutMs, signal }: Plan,
  before: Subject,
  sent: number,
  failed: number,
): Promise<SubjectAfter> {
  const bound = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const hurry = () => {
    timer = setTimeout(() => bound.abort(), readBackAfterAbortMs);
  };
  if (signal.aborted) hurry();
  else signal.addEventListener("abort", hurry, { once: true });
  const api = createApi(url, timeoutMs, bound.signal);
  try {
    return await readBack(api, before, -amount, sent, failed);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", hurry);
    await api.close();
  }
}
