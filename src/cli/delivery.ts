/**
 * Whether what was written has arrived. A pipe holds 64 KiB and node the rest, so a process that
 * ends with its last write cuts it off; and a full disk is heard of by an event alone.
 */
import type { Streams } from "./output.ts";

/** After a stop was asked for, a reader that has not taken the rest in this time will not. */
const patienceMs = 1_000;

export interface Delivery {
  /** Aborted when stdout is lost, with the system's error as the reason. */
  readonly lost: AbortSignal;
  /** Resolves when stdout and stderr have taken everything, or cannot, or nobody waits any more. */
  settled(stopping: AbortSignal): Promise<void>;
}

/** Watches both from now on. stderr that is lost is no failure: there is nobody left to tell. */
export function watchDelivery({ stdout, stderr }: Pick<Streams, "stdout" | "stderr">): Delivery {
  const lost = new AbortController();
  stdout.on("error", (error) => lost.abort(error));
  stderr.on("error", () => {});
  return {
    lost: lost.signal,
    settled: async (stopping) => {
      const late = new AbortController();
      const over = lateAfter(stopping, late);
      await Promise.race([Promise.all([taken(stdout), taken(stderr)]), over]);
      late.abort();
    },
  };
}

/** An empty write comes after all before it; its callback is called with an error as well. */
function taken(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

function lateAfter(stopping: AbortSignal, { signal: done }: AbortController): Promise<void> {
  return new Promise((resolve) => {
    const begin = () => {
      const timer = setTimeout(resolve, patienceMs);
      done.addEventListener("abort", () => clearTimeout(timer));
    };
    if (stopping.aborted) begin();
    else stopping.addEventListener("abort", begin, { once: true, signal: done });
  });
}
