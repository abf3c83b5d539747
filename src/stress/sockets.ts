/**
 * The TCP (or TLS) connections of a run: opened a window at a time, counted while they are open,
 * and ended without leaving TIME_WAIT behind.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { buildConnector } from "undici";

export interface Sockets {
  /** Opens one connection; what an undici Client takes as its `connect`. */
  readonly connect: buildConnector.connector;
  /** The same for a socket that is wanted before there is a request; rejects with the cause. */
  open(): Promise<Socket>;
  /** How many were open at the same time, at the most. */
  peak(): number;
  /** Ends every connection, those that are still being opened too. Answers on their way are lost. */
  closeAll(): void;
}

export function createSockets(url: URL, connectTimeoutMs: number): Sockets {
  const connector = buildConnector({ timeout: connectTimeoutMs });
  const open = new Set<Socket>();
  let peak = 0;
  let closed = false;

  const connect: buildConnector.connector = (options, callback) => {
    connector(options, (...args) => {
      const [error, socket] = args;
      if (error) return callback(error, null);
      if (closed) {
        end(socket);
        return callback(new Error("the run is over"), null);
      }
      open.add(socket);
      peak = Math.max(peak, open.size);
      socket.once("close", () => open.delete(socket));
      callback(null, socket);
    });
  };

  return {
    connect,
    open: () =>
      new Promise((resolve, reject) => {
        connect(connectOptions(url), (...args) => {
          const [error, socket] = args;
          if (error) reject(error);
          else resolve(socket);
        });
      }),
    peak: () => peak,
    closeAll() {
      closed = true;
      for (const socket of open) end(socket);
    },
  };
}

/**
 * Runs `openOne` for 0 … total-1 with at most `window` of them under way: thousands of connects in
 * one burst overflow a listen backlog (511 in Node's default, 4,096 in Linux's), and a dropped SYN
 * costs a full second. An abort does not wait for those that are under way.
 */
export async function openInWindow(
  total: number,
  window: number,
  signal: AbortSignal,
  openOne: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async () => {
    while (next < total && !signal.aborted) await openOne(next++);
  };
  const all = Promise.all(Array.from({ length: Math.min(window, total) }, run));
  let stop: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", stop, { once: true });
  });
  await Promise.race([all, aborted]);
  signal.removeEventListener("abort", stop);
}

/** What undici hands to a connector for the same URL. */
function connectOptions(url: URL): buildConnector.Options {
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { host: url.host, hostname, protocol: url.protocol, port: url.port };
}

/**
 * A reset instead of a FIN: whoever closes first otherwise keeps the port in TIME_WAIT for a
 * minute, and a few runs of 10,000 sockets would use up all 28,000 ephemeral ports.
 */
function end(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
