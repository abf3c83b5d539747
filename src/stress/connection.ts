/**
 * A connection is one socket and the requests that go over it, one at a time. It is an undici `Client` of
 * its own: a `Pool` looks for a free connection by walking its list, and with 10,000 of them that
 * walk costs more than the requests (measured for 10,000 requests: Pool 4.3 s, Clients 2.3 s).
 *
 * A request is written at most once. Whatever happens to it afterwards, it is never sent again: a
 * withdrawal without an answer may have been made.
 */
import type { Socket } from "node:net";
import { type buildConnector, Client, type Dispatcher } from "undici";
import { classifyAnswer, classifyFailure, type Outcome, type Shot } from "./answer.ts";
import type { Sockets } from "./sockets.ts";

/** Called exactly once a request; `latencyMs` is from dispatch to the last byte of the answer. */
export type Done = (outcome: Outcome, latencyMs: number) => void;

export interface Connection {
  /** Opens the socket ahead of the first request; rejects with the cause. */
  open(): Promise<void>;
  /** Sends one request. Only when the one before is done. */
  send(shot: Shot, done: Done): void;
  /** Gives up on a request that was dispatched at `before` (performance.now()) or earlier. */
  abandon(before: number, cause: string): void;
  close(): void;
}

// An answer of this API is about a hundred bytes; more than this is not one.
const answerBytesMax = 1_000_000;

// One for all connections: undici otherwise makes an error, with its stack, for each of them (0.2 s).
const runIsOver = new Error("the run is over");

/** @param nextKey gives each request an Idempotency-Key; without it they have none */
export function createConnection(
  origin: string,
  sockets: Sockets,
  nextKey?: () => string,
): Connection {
  let ready: Socket | undefined;
  let attempt: Attempt | undefined;

  const connect: buildConnector.connector = (options, callback) => {
    const socket = ready;
    ready = undefined;
    // The server may have closed it in the meantime: then the request opens another.
    if (!socket || socket.destroyed) return sockets.connect(options, callback);
    // Not at once: undici loses the request when its connector answers within the call.
    queueMicrotask(() => callback(null, socket));
  };
  const client = new Client(origin, {
    connect,
    pipelining: 1,
    // The run watches the time of each request as a whole; undici's timers cost one a request.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: answerBytesMax,
    // A socket whose work is done stays open until the end of the run, so that nothing but
    // answers is measured. The threshold is subtracted from the server's keep-alive hint.
    keepAliveTimeout: 600_000,
    keepAliveTimeoutThreshold: -600_000,
  });

  return {
    async open() {
      ready = await sockets.open();
    },
    send(shot, done) {
      attempt = createAttempt(shot, (outcome, latencyMs) => {
        attempt = undefined;
        done(outcome, latencyMs);
      });
      const { path, body } = shot;
      const headers = nextKey ? [...shot.headers, "idempotency-key", nextKey()] : shot.headers;
      // Not client.request(): its body stream makes the same run a quarter slower (10,000 requests
      // over 10,000 sockets, server on the same two cores: 1.0 s against 1.3 s).
      client.dispatch({ path, method: "PUT", headers, body }, attempt.handler);
    },
    abandon(before, cause) {
      if (attempt && attempt.startedAt <= before) attempt.abandon(cause);
    },
    close() {
      client.destroy(runIsOver).catch(() => undefined);
    },
  };
}

interface Attempt {
  readonly startedAt: number;
  readonly handler: Dispatcher.DispatchHandler;
  abandon(cause: string): void;
}

function createAttempt(shot: Shot, done: Done): Attempt {
  const startedAt = performance.now();
  let controller: Dispatcher.DispatchController | undefined;
  let status = 0;
  let body: Buffer | undefined;
  let settled = false;

  const fail = (outcome: Outcome) => {
    if (settled) return;
    settled = true;
    // Later: undici reports failures while its queue is in between two states, and `done` may
    // well put the next request into it.
    setImmediate(done, outcome, performance.now() - startedAt);
  };
  return {
    startedAt,
    handler: {
      onRequestStart(started) {
        // Settled already, or about to be written a second time: in no case onto the wire.
        if (settled || controller) started.abort(new Error("given up"));
        controller = started;
      },
      onResponseStart(_controller, statusCode) {
        status = statusCode;
      },
      onResponseData(_controller, chunk) {
        body = body ? Buffer.concat([body, chunk]) : chunk;
      },
      onResponseEnd() {
        if (settled) return;
        settled = true;
        const outcome = classifyAnswer(status, body ? body.toString() : "", shot);
        done(outcome, performance.now() - startedAt);
      },
      onResponseError(_controller, error) {
        fail(classifyFailure(error));
      },
    },
    abandon(cause) {
      fail({ kind: "noAnswer", cause });
      controller?.abort(new Error(cause));
    },
  };
}
