/**
 * The way to a server of the cluster, with a lease on it.
 *
 *     look -> a server of this cluster lives -> take the lease -> open
 *      ^       no cluster                    -> create it --------+
 *      |       a cluster without a server    -> start one --------+
 *      +---------- after each step, and while it is starting -----+
 *
 * Every step may be taken by several processes at once, and is then won by one: a cluster is renamed
 * into place, PostgreSQL itself admits one server to a cluster, and a lease is a lock in the
 * database. The losers look again. So there is no lock file, and nothing to clean up after a crash.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BalancectlError } from "../../errors.ts";
import { findBinaries } from "./binaries.ts";
import { claimCluster, clearNote, type Holder, keepTouching } from "./claim.ts";
import { clusterExists, createCluster, removeAbandoned, renewPassfile } from "./cluster.ts";
import { keepPrivate } from "./keep-private.ts";
import { type Lease, takeLease } from "./lease.ts";
import { type Place, preparePlace, requireReachable } from "./place.ts";
import {
  findServer,
  type Listen,
  listenByDefault,
  type ServerProcess,
  startServer,
  stopServer,
} from "./server.ts";
import type { ShortPaths } from "./short-path.ts";

/** A server that says nothing for this long is given up. */
const quietMsMax = 60_000;

/** One that says that it is recovering is waited for longer: stopped, it would begin anew. */
const openMsMax = 600_000;

/** How long a server elsewhere may take to stop, as in a rolling restart, before we give up. */
const claimedMsMax = 5_000;

/** A wait that is longer than this is announced. */
const noticeableMs = 2_000;

/** Another server, a taken port and dying children of a killed server pass; other reasons do not. */
const failedStartsMax = 6;

export interface ReachOptions {
  readonly dataDir: string;
  /** Gets short lines for people: what is being done that takes its time. */
  readonly onProgress?: ((line: string) => void) | undefined;
  /** Where a server that is started here listens. */
  readonly listen?: Listen;
  /** Of a database that was there: an empty one must not take its place. */
  readonly mustExist?: boolean;
}

/** What the steps of one opening know of each other. */
interface Opening {
  readonly place: Place;
  readonly paths: ShortPaths;
  readonly listen: Listen;
  readonly mustExist: boolean;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal | undefined;
  readonly startMs: number;
  /** When a server last gave a sign of life, and what it said. */
  answerMs: number;
  answer: string;
  waitingSinceMs: number | undefined;
  saidWaiting: boolean;
  server: ServerProcess | undefined;
  failedStarts: number;
  /** Since when the cluster is claimed, and no server of it is to be seen. */
  claimedSinceMs: number | undefined;
  /** Ends the touching of the note that says that the cluster is in use. */
  stopTouching: () => void;
}

/** @throws BalancectlError EMBEDDED_UNAVAILABLE, or the signal's reason */
export async function reachServer(
  { dataDir, onProgress = () => {}, listen = listenByDefault, mustExist = false }: ReachOptions,
  paths: ShortPaths,
  signal: AbortSignal | undefined,
): Promise<{ place: Place; lease: Lease; startedHere: boolean }> {
  let opening: Opening | undefined;
  try {
    signal?.throwIfAborted();
    const place = await preparePlace(dataDir);
    await keepPrivate(place, onProgress);
    opening = beginning({ place, paths, listen, mustExist, onProgress, signal });
    const lease = await leaseOf(opening);
    const own = opening.server?.pid === lease.postmasterPid ? opening.server : undefined;
    // It is meant to outlive us if others use it.
    own?.unref();
    opening.stopTouching();
    return { place, lease, startedHere: own !== undefined };
  } catch (error) {
    // What went wrong first is what people are told.
    if (opening) await stopOwnServer(opening).catch(() => {});
    opening?.stopTouching();
    if (signal?.aborted) throw signal.reason;
    if (error instanceof BalancectlError) throw error;
    const message =
      `The embedded PostgreSQL in ${dataDir} cannot be used: ${(error as Error).message}. ` +
      "Set BALANCECTL_DATA_DIR to another folder, or set DATABASE_URL";
    throw new BalancectlError("EMBEDDED_UNAVAILABLE", message, { cause: error });
  }
}

function beginning(
  asked: Pick<Opening, "place" | "paths" | "listen" | "mustExist" | "onProgress" | "signal">,
): Opening {
  const startMs = Date.now();
  return {
    ...asked,
    startMs,
    answerMs: startMs,
    answer: "no answer",
    waitingSinceMs: undefined,
    saidWaiting: false,
    server: undefined,
    failedStarts: 0,
    claimedSinceMs: undefined,
    stopTouching: () => {},
  };
}

/** The loop of the module's head. */
async function leaseOf(opening: Opening): Promise<Lease> {
  const { place, paths, signal } = opening;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    signal?.throwIfAborted();
    const found = await findServer(place);
    if (found && found.process !== "gone") {
      const attempt = await takeLease(place, found, paths);
      if (attempt.lease) {
        if (!signal?.aborted) return attempt.lease;
        await attempt.lease.leave(() => stop(place, found.pid));
        continue;
      }
      noteAnswer(opening, attempt.code);
    }
    if (opening.server?.alive()) {
      await pause(opening, pauseMs);
    } else if (found?.process === "ours") {
      // Ours, if we started one, gave way to this.
      opening.server = undefined;
      opening.failedStarts = 0;
      opening.claimedSinceMs = undefined;
      await pause(opening, pauseMs);
    } else if (await clusterExists(place)) {
      await start(opening, found?.pid);
      if (opening.server) pauseMs = 5;
    } else {
      await create(opening);
    }
  }
}

async function create(opening: Opening): Promise<void> {
  const { place, mustExist, onProgress } = opening;
  if (mustExist) {
    throw new BalancectlError("EMBEDDED_UNAVAILABLE", `The database in ${place.data} is gone`);
  }
  await requireReachable(place);
  const binaries = await findBinaries(place, onProgress);
  onProgress(`Creating the embedded PostgreSQL in ${place.folder}`);
  await createCluster(place, binaries);
  opening.answerMs = Date.now();
}

async function start(opening: Opening, stalePid: number | undefined): Promise<void> {
  const { place, listen, onProgress, signal, server } = opening;
  if (server) await noteFailedStart(opening, server);
  await requireReachable(place);
  const binaries = await findBinaries(place, onProgress);
  const claim = await claimCluster(place, onProgress);
  if (!claim.file) return await waitForHolder(opening, claim.holder, claim.isNear);
  opening.claimedSinceMs = undefined;
  if (!server) {
    const crashed = stalePid !== undefined;
    onProgress(
      crashed
        ? "Recovering the embedded PostgreSQL, which was not stopped properly"
        : "Starting the embedded PostgreSQL",
    );
  }
  try {
    signal?.throwIfAborted();
    await removeAbandoned(place);
    await renewPassfile(place);
    opening.server = await startServer(place, binaries, claim.file.fd, stalePid, listen);
    opening.stopTouching();
    opening.stopTouching = keepTouching(place);
  } finally {
    await claim.file.close();
  }
  opening.answerMs = Date.now();
}

/** Another of our own processes may be starting it, and will be seen; or it is stopping elsewhere. */
async function waitForHolder(
  opening: Opening,
  holder: Holder | undefined,
  isNear: boolean,
): Promise<void> {
  const { place, signal } = opening;
  opening.server = undefined;
  opening.claimedSinceMs ??= Date.now();
  const patienceMs = isNear ? quietMsMax : claimedMsMax;
  if (Date.now() - opening.claimedSinceMs < patienceMs) {
    await sleep(50, undefined, { signal });
    return;
  }
  const who = holder
    ? `process ${holder.pid} on ${holder.host}, since ${holder.since}`
    : "by a program that left no note of itself";
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The embedded PostgreSQL in ${place.folder} is in use elsewhere: ${who}. A second one on the same ` +
      "files would destroy them. Stop that one first, set BALANCECTL_DATA_DIR to a folder of this one's " +
      "own, or set DATABASE_URL for both",
  );
}

/** Of whoever leaves last. */
export async function stop(place: Place, pid: number): Promise<void> {
  await stopServer(place, pid);
  await clearNote(place);
}

async function noteFailedStart(opening: Opening, server: ServerProcess): Promise<void> {
  opening.failedStarts += 1;
  if (opening.failedStarts < failedStartsMax) {
    await sleep(25 * 2 ** opening.failedStarts, undefined, { signal: opening.signal });
    return;
  }
  const { log } = opening.place;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The embedded PostgreSQL does not start. The end of ${log}:\n${await server.logged()}`,
  );
}

/** A server that answers, be it with a refusal, is alive. One that refuses us for good is an error. */
function noteAnswer(opening: Opening, code: string): void {
  const { place } = opening;
  opening.answer = code;
  // 57P03: it is starting, recovering or stopping. 55P03: it is being stopped. 53300: it is full.
  if (code === "57P03" || code === "55P03" || code === "53300") opening.answerMs = Date.now();
  const refused = code === "28P01" || code === "28000";
  if (!refused && code !== "NO_PASSWORD") return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    refused
      ? `The embedded PostgreSQL refuses the password in ${place.passfile} (${code}). Put the ` +
          "right one there, or set DATABASE_URL"
      : `${place.passfile}, which holds the password of the embedded PostgreSQL, is missing. ` +
          "Restore it, or set DATABASE_URL",
  );
}

async function pause(opening: Opening, ms: number): Promise<void> {
  const { place, server, signal, startMs } = opening;
  const nowMs = Date.now();
  if (nowMs - opening.answerMs > quietMsMax || nowMs - startMs > openMsMax) {
    throw new BalancectlError(
      "EMBEDDED_UNAVAILABLE",
      `The embedded PostgreSQL in ${place.folder} runs but cannot be used (${opening.answer}). ` +
        `See ${place.log}`,
    );
  }
  opening.waitingSinceMs ??= nowMs;
  if (nowMs - opening.waitingSinceMs > noticeableMs && !opening.saidWaiting) {
    opening.saidWaiting = true;
    opening.onProgress("Waiting for the embedded PostgreSQL");
  }
  const over = sleep(ms, undefined, { signal });
  await (server?.alive() ? Promise.race([over, server.exited]) : over);
}

/** After a failure: nobody would stop what we started, unless somebody else has joined it already. */
async function stopOwnServer({ place, paths, server }: Opening): Promise<void> {
  if (!server?.alive()) return;
  const found = await findServer(place);
  const attempt = found?.pid === server.pid ? await takeLease(place, found, paths) : undefined;
  if (attempt?.lease) {
    await attempt.lease.leave(() => stop(place, server.pid));
  } else {
    server.interrupt();
    await Promise.race([server.exited, sleep(quietMsMax, undefined, { ref: false })]);
  }
  server.unref();
}
