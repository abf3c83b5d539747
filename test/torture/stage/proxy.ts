/**
 * A TCP proxy between a server and the database that knows enough of PostgreSQL's protocol to strike at
 * a chosen moment of a statement: before it is sent, in the middle of it, behind it, before or within the
 * answer, or when all has arrived but the Sync that commits.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createDelayed } from "./delayed.ts";

export const strikes = [
  "before-send",
  "mid-send",
  "after-send",
  "before-reply",
  "inside-reply",
  "hold-sync",
] as const;
export type Strike = (typeof strikes)[number];

export interface DatabaseProxy {
  readonly port: number;
  /** The next write meets it; resolves when that has happened. */
  strike(kind: Strike, fraction: number): Promise<void>;
  /** Nobody is struck any more. */
  disarm(): void;
  cutAll(): void;
  /** All open connections go dead: nothing arrives, nothing is said, and neither end is told. */
  deaden(): void;
  /** Each packet takes so much longer; 0 for none. */
  delay(milliseconds: number): void;
  /** Takes no connection, until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly database: Socket;
  /** Something that changes balances was prepared here. */
  writes: boolean;
  dead: boolean;
  /** Of the next answer so much arrives, and then that happens. */
  answerStrike: { readonly fraction: number; readonly act: () => void } | undefined;
}

/** Execute of the unnamed portal, without a limit; Sync. */
const execute = Buffer.from("E\0\0\0\x09\0\0\0\0\0", "latin1");
const sync = Buffer.from("S\0\0\0\x04", "latin1");
/** What the names of the ledger's functions that write begin with. */
const writing = Buffer.from("apply_");

export async function startProxy(databasePort: () => number): Promise<DatabaseProxy> {
  const lines = new Set<Line>();
  let armed: { kind: Strike; fraction: number } | undefined;
  let met = () => {};
  let delayMs = 0;

  const server: Server = createServer((client) => {
    const database = connect(databasePort(), "127.0.0.1");
    const line: Line = { client, database, writes: false, dead: false, answerStrike: undefined };
    lines.add(line);
    const forth = createDelayed(() => delayMs);
    const back = createDelayed(() => delayMs);
    client.on("data", (bytes) => forth(() => onAsked(line, bytes)));
    database.on("data", (bytes) => back(() => onAnswered(line, bytes)));
    for (const [socket, other, later] of [
      [client, database, forth],
      [database, client, back],
    ] as const) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        if (client.destroyed && database.destroyed) lines.delete(line);
        if (!line.dead) later(() => other.destroySoon());
      });
    }
  });

  function onAsked(line: Line, bytes: Buffer): void {
    if (line.dead) return;
    if (!line.writes && bytes.includes(writing)) line.writes = true;
    if (armed && line.writes && bytes.includes(execute)) {
      const { kind, fraction } = armed;
      if (kind !== "hold-sync" || bytes.subarray(-sync.length).equals(sync)) {
        armed = undefined;
        struck(line, bytes, kind, fraction);
        return;
      }
    }
    line.database.write(bytes);
  }

  function onAnswered(line: Line, bytes: Buffer): void {
    if (line.dead) return;
    if (!line.answerStrike) {
      line.client.write(bytes);
      return;
    }
    const { fraction, act } = line.answerStrike;
    line.answerStrike = undefined;
    line.client.write(bytes.subarray(0, Math.floor(bytes.length * fraction)));
    act();
  }

  function struck(line: Line, bytes: Buffer, kind: Strike, fraction: number) {
    const { client, database } = line;
    switch (kind) {
      case "before-send":
        cut(line);
        break;
      case "mid-send":
        database.end(bytes.subarray(0, Math.max(1, Math.floor(bytes.length * fraction))));
        client.destroy();
        break;
      case "after-send":
        database.end(bytes);
        client.destroy();
        break;
      case "before-reply":
      case "inside-reply":
        line.answerStrike = {
          fraction: kind === "before-reply" ? 0 : fraction,
          act: () => {
            client.destroySoon();
            database.destroy();
            met();
          },
        };
        database.write(bytes);
        return;
      case "hold-sync":
        database.write(bytes.subarray(0, -sync.length));
        line.dead = true;
        break;
    }
    met();
  }

  const cut = ({ client, database }: Line) => {
    client.destroy();
    database.destroy();
  };
  const cutAll = () => {
    for (const line of lines) cut(line);
  };
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const down = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    cutAll();
    await closed;
  };
  const port = await listen(0);
  return {
    port,
    strike: (kind, fraction) =>
      new Promise((done) => {
        met = done;
        armed = { kind, fraction };
      }),
    disarm: () => {
      armed = undefined;
      for (const line of lines) line.answerStrike = undefined;
      met();
    },
    cutAll,
    deaden: () => {
      for (const line of lines) line.dead = true;
    },
    delay: (milliseconds) => {
      delayMs = milliseconds;
    },
    down,
    up: async () => {
      if (!server.listening) await listen(port);
    },
    close: down,
  };
}
