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
import type { BalancectlError } from "../../errors.ts";
import type { Lease } from "./lease.ts";

/** About three minutes, beside what each try takes: a disk that is full may be emptied meanwhile. */
const triesMax = 10;
const pauseMsMax = 30_000;

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
export function keepRunning(first: Lease, revival: Revival | undefined): Running {
  const leaving = new AbortController();
  let lease: Lease | undefined = first;
  let watching: Promise<void> | undefined;
  const gone = new Promise<BalancectlError>((resolve) => {
    if (revival === undefined) return;
    const watch = async () => {
      for (let tries = 0; ; ) {
        const sinceMs = performance.now();
        // Leaving ends the wait for what is over by then.
        await Promise.race([lease?.over, aborted(leaving.signal)]);
        if (leaving.signal.aborted) return;
        if (performance.now() - sinceMs > livedMsMin) tries = 0;
        lease = undefined;
        revival.onLost("The embedded PostgreSQL was lost; it is started again");
        const startedMs = performance.now();
        while (lease === undefined) {
          const problem = await again(tries);
          if (leaving.signal.aborted) return;
          tries += 1;
          if (problem === undefined) continue;
          revival.onLost(`The embedded PostgreSQL is not there again: ${problem.message}`);
          if (tries === triesMax) return resolve(problem);
        }
        const tookMs = Math.round(performance.now() - startedMs);
        revival.onLost(`The embedded PostgreSQL is there again, after ${tookMs} ms`);
      }
    };
    const again = async (tries: number): Promise<BalancectlError | undefined> => {
      try {
        // The first time at once.
        if (tries > 0) await sleep(pauseMs(tries), undefined, { signal: leaving.signal });
        lease = await revival.reach(leaving.signal);
        return undefined;
      } catch (error) {
        return error as BalancectlError;
      }
    };
    watching = watch();
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

function pauseMs(tries: number): number {
  return Math.min(500 * 2 ** tries, pauseMsMax);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
