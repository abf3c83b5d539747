/**
 * How a server stops without resetting anybody. A request that is written lies in the kernel until it is
 * read, and closing its socket, or the listener it waits behind, throws it away with a reset: its caller
 * cannot know whether it was done. So first comes the end of what arrives, and then the end of the server:
 *
 *     reading and accepting, each answer the last on its connection
 *        | nothing new for 100 ms, or half of the time is over
 *     listener and idle connections closed, what is in flight is answered
 *        | all answered, or all of the time is over
 *     the rest cut
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { within } from "../within.ts";

/** What was written before the server was asked to stop is read long before that. */
const quietMs = 100;

export interface Drain {
  /** All that are open. */
  readonly sockets: ReadonlySet<Socket>;
  readonly timeoutMs: number;
  /** Resolves when whoever hands over connections, if it is not this process, has no more of them. */
  readonly handedOver: () => Promise<void>;
}

/** @returns whether everything was answered in time */
export async function drain(
  server: Server,
  { sockets, timeoutMs, handedOver }: Drain,
): Promise<boolean> {
  const startMs = performance.now();
  // The other half is for the answers.
  if (timeoutMs > 0) {
    const over = new AbortController();
    await within(timeoutMs / 2, quiet(server, handedOver, over.signal));
    over.abort();
  }
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // Node counts who has not yet said a word as busy; there is nothing to answer.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  const leftMs = Math.max(0, timeoutMs - (performance.now() - startMs));
  if (await within(leftMs, closed)) return true;
  server.closeAllConnections();
  await closed;
  return false;
}

/** Until no connection and no request came for a while. */
async function quiet(
  server: Server,
  handedOver: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let isNew = true;
  const note = () => {
    isNew = true;
  };
  const events = ["connection", "request", "checkExpectation"] as const;
  for (const event of events) server.on(event, note);
  while (isNew && !signal.aborted) {
    isNew = false;
    await new Promise((resolve) => setTimeout(resolve, quietMs));
    await handedOver();
    // A timer of a busy process is late, and comes before what has arrived meanwhile is read.
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const event of events) server.off(event, note);
}
