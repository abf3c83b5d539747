/**
 * A TCP proxy before the server that knows enough of HTTP to cut a connection at a chosen point of an
 * exchange: a request is passed on, and its answer, when all of it is there, or a part of it and then no more.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterFile } from "../cleanup.ts";

export const cuts = [
  // Of the request nothing reaches the server.
  "before-request",
  // A part of it does.
  "inside-request",
  // All of it does, and the connection is cut at once: the answer finds nobody.
  "after-request",
  // The answer is there and nothing of it is passed on.
  "before-answer",
  // A part of it is.
  "inside-answer",
  // All of it is, and then the connection is cut, as the next request may be on its way.
  "after-answer",
] as const;
export type Cut = (typeof cuts)[number];

export interface CuttingProxy {
  readonly url: string;
  /** How often each was done. */
  readonly done: Readonly<Record<Cut, number>>;
  /** Exchanges that were left alone. */
  readonly passed: () => number;
}

export interface Plan {
  readonly cut: Cut;
  /** How much of it, from 0 to 1, where it is inside. */
  readonly fraction: number;
}

/** @param plan asked for each request; undefined leaves its exchange alone */
export async function startCuttingProxy(
  serverUrl: string,
  plan: () => Plan | undefined,
): Promise<CuttingProxy> {
  const target = new URL(serverUrl);
  const open = new Set<Socket>();
  const done = Object.fromEntries(cuts.map((cut) => [cut, 0])) as Record<Cut, number>;
  let passed = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let ofAnswer: Plan | undefined;
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => open.delete(socket));
    }
    client.on("close", () => upstream.end());
    upstream.on("close", () => client.destroy());

    const onRequest = (request: Buffer) => {
      ofAnswer = undefined;
      const planned = plan();
      switch (planned?.cut) {
        case undefined:
          passed += 1;
          upstream.write(request);
          return;
        case "before-request":
          upstream.destroy();
          client.destroy();
          break;
        case "inside-request":
          upstream.end(part(request, planned.fraction));
          client.destroy();
          break;
        case "after-request":
          upstream.end(request);
          client.destroy();
          break;
        default:
          ofAnswer = planned;
          upstream.write(request);
          return;
      }
      done[planned.cut] += 1;
    };
    const onAnswer = (answer: Buffer) => {
      if (ofAnswer === undefined) {
        client.write(answer);
        return;
      }
      const { cut, fraction } = ofAnswer;
      if (cut === "inside-answer") client.end(part(answer, fraction));
      if (cut === "before-answer") client.destroy();
      if (cut === "after-answer") client.end(answer);
      upstream.destroy();
      done[cut] += 1;
    };
    client.on("data", wholeMessages(onRequest));
    upstream.on("data", wholeMessages(onAnswer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterFile(async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of open) socket.destroy();
    await closed;
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, done, passed: () => passed };
}

/** Something of it, and not all. */
function part(message: Buffer, fraction: number): Buffer {
  const length = Math.floor(message.length * fraction);
  return message.subarray(0, Math.min(message.length - 1, Math.max(1, length)));
}

/** Gives each message when all of it is there: its head, and as many bytes as it says. */
function wholeMessages(give: (message: Buffer) => void): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    for (;;) {
      const headEnd = held.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const head = held.toString("latin1", 0, headEnd);
      const length = headEnd + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (held.length < length) return;
      const message = held.subarray(0, length);
      held = held.subarray(length);
      give(message);
    }
  };
}
