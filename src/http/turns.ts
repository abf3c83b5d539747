/**
 * How many requests of one connection are in work. Node reads 64 KB at once, some 900 requests that were sent without
 * waiting for answers, and calls for each of them: 900 pages in memory for a client that reads none of them. So the
 * first goes on, and of those behind it a few; the rest wait, and the socket is not read meanwhile.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** Behind the first: enough that a client which pipelines is not slowed (the group commit takes them together). */
const besideMax = 15;

interface Waiting {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

interface Line {
  working: number;
  readonly waiting: Waiting[];
}

export function inTurns(handle: Handler): Handler {
  const lines = new WeakMap<Socket, Line>();

  function work(line: Line, { req, res }: Waiting): void {
    line.working += 1;
    res.once("close", () => {
      line.working -= 1;
      next(line, req.socket);
    });
    handle(req, res);
  }

  function next(line: Line, socket: Socket): void {
    const one = line.waiting.shift();
    if (one === undefined) return;
    if (line.waiting.length === 0 && !isHeldByNode(socket)) socket.resume();
    // Nobody is there any more to answer.
    if (socket.destroyed) one.req.destroy();
    else work(line, one);
  }

  return (req, res) => {
    // Node gives a response its socket when it is the first in line: nearly all are, and cost nothing.
    if (res.socket !== null) {
      handle(req, res);
      return;
    }
    const { socket } = req;
    let line = lines.get(socket);
    if (line === undefined) {
      line = { working: 0, waiting: [] };
      lines.set(socket, line);
    }
    if (line.working < besideMax && line.waiting.length === 0) work(line, { req, res });
    else {
      line.waiting.push({ req, res });
      socket.pause();
    }
  };
}

/** Node pauses a socket itself when too much waits to be sent, and resumes it when that has gone. */
function isHeldByNode(socket: Socket): boolean {
  return (socket as Socket & { _paused?: boolean })._paused === true;
}
