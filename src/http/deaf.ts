/**
 * Connections that take no byte of an answer that is due. Node's own timeout on a socket begins anew with whatever
 * arrives, so who writes a byte now and then would be waited for, and kept in memory, for ever.
 */
import type { Socket } from "node:net";

interface Seen {
  readonly taken: number;
  readonly since: number;
}

/** Looks now and then, and destroys those that have taken nothing for `untakenMs`. @returns how to end it */
export function closeDeaf(sockets: ReadonlySet<Socket>, untakenMs: number): () => void {
  const seen = new WeakMap<Socket, Seen>();

  function look(): void {
    const now = performance.now();
    for (const socket of sockets) {
      const { writableLength } = socket;
      if (writableLength === 0) continue;
      // What the kernel has taken of what was written.
      const taken = socket.bytesWritten - writableLength;
      const before = seen.get(socket);
      if (before?.taken !== taken) seen.set(socket, { taken, since: now });
      else if (now - before.since >= untakenMs) socket.destroy();
    }
  }

  const timer = setInterval(look, Math.min(untakenMs / 2, 5_000)).unref();
  return () => clearInterval(timer);
}
