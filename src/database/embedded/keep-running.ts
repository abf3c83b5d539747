/**
 * Our use of the server, for as long as we want it: one that is killed under us is started again. Its socket stays
 * where it was, so the connections of this process and of its workers find the new one.
 *
 *     in use --leave--> left
 *       |  ^
 *       |  +--reached------------+
 *       +--over--> reaching it again --failed--> pause, then again
 *                                                  +--too often--> given up
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BalancectlError } from "../../errors.ts";
import type { Lease } from "./lease.ts";

/** Before each try: at once, then for about three minutes; a disk that is full may be emptied meanwhile. */
const pausesMsByDefault = [0, 1, 2, 4, 8, 16, 30, 30, 30, 30].map((seconds) => seconds * 1_000);

/** One that lived longer has not been killed by what it does first. */
const livedMsMin = 60_000;

export interface Running {
  /** Resolves, with the last reason, when it does not start any more. */
  readonly gone: Promise<BalancectlError>;
  /** Ends our use; `stop` is called if nobody else uses the server. */
  readonly leave: (stop: (lease: Lease) => Promise<void>) => Promise<void>;
}

export interface Revival {
  /** Starts the server again, or finds that another has. */
  readonly reach: (signal: AbortSignal) => Promise<Lease>;
  /** Gets what is to be known of it; whoever runs this reads it later. */
  readonly onLost: (message: string) => void;
}

/** @param revival undefined: a server that is lost stays lost, as for a command that is soon over */
export function keepRunning(
  first: Lease,
  revival: Revival | undefined,
  pausesMs: readonly number[] = pausesMsByDefault,
): Running {
  const leaving = new AbortController();
  const { signal } = leaving;
  let lease: Lease | undefined = first;
  let watching: Promise<void> | undefined;
  const watch = async ({ reach, onLost }: Revival): Promise<BalancectlError | undefined> => {
    for (let tries = 0; ; ) {
      const sinceMs = performance.now();
      await Promise.race([lease?.over, aborted(signal)]);
      if (signal.aborted) return undefined;
      if (performance.now() - sinceMs > livedMsMin) tries = 0;
      const lostMs = performance.now();
      lease = undefined;
      onLost("The embedded PostgreSQL was lost; it is started again");
      let problem = new BalancectlError("EMBEDDED_UNAVAILABLE", "It was lost again and again");
      while (lease === undefined) {
        const pauseMs = pausesMs[tries];
        if (pauseMs === undefined) return problem;
        tries += 1;
        try {
          await sleep(pauseMs, undefined, { signal });
          lease = await reach(signal);
        } catch (error) {
          if (signal.aborted) return undefined;
          problem = error as BalancectlError;
          onLost(`The embedded PostgreSQL is not there again: ${problem.message}`);
        }
      }
      const tookMs = Math.round(performance.now() - lostMs);
      onLost(`The embedded PostgreSQL is there again, after ${tookMs} ms`);
    }
  };
  const gone = new Promise<BalancectlError>((resolve) => {
    if (revival === undefined) return;
    watching = watch(revival).then((problem) => problem && resolve(problem));
  });
  return {
    gone,
    leave: async (stop) => {
      leaving.abort();
      await watching;
      const last = lease;
      await last?.leave(() => stop(last));
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
