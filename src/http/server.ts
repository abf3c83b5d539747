/** The HTTP server around the app: how it listens, what it bounds, and how it stops. */
import {
  createServer,
  IncomingMessage,
  type Server,
  ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Express } from "express";
import { type AnswerCode, BalancectlError } from "../errors.ts";
import { errorBody, everywhere, statusOf } from "./answer.ts";
import { closeDeaf } from "./deaf.ts";
import { drain } from "./drain.ts";
import { type Named, newRequestId, requestIdOf } from "./request-id.ts";
import type { RouteTimer } from "./route.ts";
import { answered, type Timed } from "./timed.ts";
import { inTurns } from "./turns.ts";

export interface HttpServer {
  /** http://host:port as a client reaches it. */
  readonly url: string;
  /** Called when it begins to stop, before connections are waited for: the moment to end what streams. */
  onDrain(listener: () => void): void;
  /**
   * Answers what has arrived and what is in flight, closes (drain.ts). After `timeoutMs` what is still open
   * is cut.
   * @param handedOver resolves when whoever accepts connections for this process has no more of them
   * @returns whether everything was answered in time
   */
  stop(timeoutMs: number, handedOver?: () => Promise<void>): Promise<boolean>;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** How long a connection may take nothing of what is due to it. Default 30 s. */
  readonly untakenMs?: number;
  /** Beyond so many at once the next is told so, and closed. */
  readonly connectionsMax?: number;
}

/** More than the kernel allows by default (net.core.somaxconn): the burst is bounded there, not here. */
const backlog = 16_384;

/** @throws BalancectlError SERVER_FAILED when the address cannot be had */
export async function startHttpServer(
  app: Express,
  { host, port, untakenMs = 30_000, connectionsMax = Infinity }: ListenOptions,
): Promise<HttpServer> {
  let draining = false;
  const drainListeners: (() => void)[] = [];
  const turnedAway = new WeakSet<Socket>();
  const inTurn = inTurns(app);
  const handle: typeof inTurn = (req, res) => {
    // It may have sent a request all the same, which must not be done.
    if (!turnedAway.has(req.socket)) inTurn(req, res);
  };
  const server: Server = createServer(
    {
      ...{ ...expressClasses(app, () => draining), requireHostHeader: false },
      // Who sends a byte now and then is found out this often.
      connectionsCheckingInterval: 5_000,
    },
    handle,
  );
  server.on("checkExpectation", handle);
  // Whoever may not come in is not told to go on with a body.
  server.on("checkContinue", handle);
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 15_000;
  server.requestTimeout = 30_000;
  // All of them: beyond a number Node drops them without a word, an Idempotency-Key too. Their size is bounded.
  server.maxHeadersCount = 0;
  // A client that has said all it wants to say may close its side and still read the answer.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  server.on("clientError", answerClientError);
  server.on("connect", refuseTunnel);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    if (sockets.size >= connectionsMax) {
      turnedAway.add(socket);
      turnAway(socket);
      return;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const endLooking = closeDeaf(sockets, untakenMs);
  server.once("close", endLooking);
  await listen(server, host, port);
  const { address, port: actualPort } = server.address() as AddressInfo;
  return {
    url: httpUrl(address, actualPort),
    onDrain: (listener) => {
      drainListeners.push(listener);
    },
    stop: (timeoutMs, handedOver = async () => {}) => {
      draining = true;
      for (const listener of drainListeners) listener();
      return drain(server, { sockets, timeoutMs, handedOver });
    },
  };
}

export function httpUrl(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Express sets the prototype of each request and response, and V8 then gives up on their shapes.
 * Objects born with that prototype make the call change nothing: about twice the requests a second.
 * Public discussion: expressjs/express issue 5998. A test watches that the prototypes stay these.
 *
 * Classes, because V8 counts the fields of a class and its bases before the first object is made:
 * a pair is made in 1.4 us, by functions that borrow the constructors in 3 us, and by
 * Reflect.construct in 60 us.
 */
function expressClasses(app: Express, draining: () => boolean) {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse implements Timed, Named {
    requestId = "";
    timer: RouteTimer | null = null;
    // No whole number, so that V8 keeps the field as the double that it will be.
    beganMs = 0.5;

    // While draining, each answer is the last on its connection, also to what was asked before.
    override writeHead(status: number, ...rest: unknown[]): this {
      if (draining() && !isFollowed(this.req)) this.shouldKeepAlive = false;
      answered(this, status);
      return Reflect.apply(super.writeHead, this, [status, ...rest]);
    }
  }
  // Behind the first line of each answer, whoever makes it. As headers they would be checked and joined one
  // by one, each time: 5 of this process's 58 us a request. A test watches that they are there.
  const { _storeHeader: storeHeader } = ServerResponse.prototype as unknown as StoresHeader;
  (AppResponse.prototype as unknown as StoresHeader)._storeHeader = function (firstLine, headers) {
    const named = `${firstLine}${everywhere}X-Request-Id: ${requestIdOf(this)}\r\n`;
    storeHeader.call(this, named, headers);
  };
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as typeof app.request;
  app.response = AppResponse.prototype as unknown as typeof app.response;
  return {
    IncomingMessage: AppRequest,
    ServerResponse: AppResponse as unknown as typeof ServerResponse,
  };
}

/** Whether another request was read behind it, pipelined: that one's answer is due as well. */
function isFollowed(req: IncomingMessage): boolean {
  const { parser } = req.socket as Socket & {
    parser?: { incoming: IncomingMessage | null } | null;
  };
  return parser?.incoming != null && parser.incoming !== req;
}

/** Node's own way from a status line and headers to the text that is sent. */
interface StoresHeader {
  _storeHeader(this: ServerResponse, firstLine: string, headers: unknown): void;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Kept: one that comes later must not end the process.
    server.on("error", (error: NodeJS.ErrnoException) => {
      const problem = listenProblems[error.code ?? ""] ?? `cannot be listened on: ${error.message}`;
      reject(new BalancectlError("SERVER_FAILED", `${host}:${port} ${problem}`, { cause: error }));
    });
    server.listen({ host, port, backlog }, resolve);
  });
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another program; choose another port with --port or PORT",
  EACCES: "needs more rights; choose a port above 1023 with --port or PORT",
  EADDRNOTAVAIL: "is not an address of this machine; choose another with --host or HOST",
  ENOTFOUND: "is not a host that can be found; choose another with --host or HOST",
};

const failed = new WeakSet<Duplex>();

/**
 * What the HTTP parser refuses never becomes a request, so the answer is written by hand, after the
 * answers that are still due on the connection: it must not be taken for one of those.
 */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  // What follows is read from the middle of nowhere, and refused again.
  if (failed.has(socket)) return;
  failed.add(socket);
  const code = parserCodes[error.code ?? ""] ?? "INVALID_REQUEST";
  const message = code === "INVALID_REQUEST" ? notHttp(error) : undefined;
  afterAnswers(socket, () => socket.end(lastAnswer(code, message)));
}

/** Before a byte is read: who has no room is told so, instead of waiting for an answer that does not come. */
function turnAway(socket: Socket): void {
  socket.on("error", () => {});
  socket.end(lastAnswer("OVERLOADED", "Too many connections are open", ["Retry-After: 1"]), () =>
    socket.destroy(),
  );
}

/** Node has no response for it: whoever takes a tunnel gets the bare connection. */
function refuseTunnel(_req: IncomingMessage, socket: Duplex): void {
  socket.on("error", () => {});
  // Nobody reads it any more, so that its end would not be seen, and no timeout watches it.
  socket.resume();
  const message = "CONNECT is not possible here: this is no proxy";
  afterAnswers(socket, () => {
    const answer = lastAnswer("METHOD_NOT_ALLOWED", message, ["Allow: "]);
    socket.end(answer, () => socket.destroy());
  });
}

/** Head and body of an answer that closes the connection, as they go over the wire. */
function lastAnswer(code: AnswerCode, message?: string, more: readonly string[] = []): string {
  const body = errorBody(code, message);
  const head = [
    `HTTP/1.1 ${statusOf[code]} ${STATUS_CODES[statusOf[code]]}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    everywhere.trimEnd(),
    `X-Request-Id: ${newRequestId()}`,
    ...more,
    "Connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** @param error the parser's, with what it minds in its own words */
function notHttp({ reason }: NodeJS.ErrnoException & { reason?: string }): string {
  return `The request is not valid HTTP${reason ? `: ${reason}` : ""}`;
}

/** Node keeps on the socket the answer that is being made. To half a request none is due. */
function afterAnswers(socket: Duplex, then: () => void): void {
  const { _httpMessage: res } = socket as Duplex & { _httpMessage?: ServerResponse | null };
  if (res?.req.complete) res.once("finish", () => afterAnswers(socket, then));
  else then();
}

const parserCodes: Readonly<Record<string, AnswerCode>> = {
  HPE_HEADER_OVERFLOW: "HEADERS_TOO_LARGE",
  ERR_HTTP_REQUEST_TIMEOUT: "REQUEST_TIMEOUT",
};
