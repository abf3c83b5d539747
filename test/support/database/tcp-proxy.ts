/** A real TCP proxy before the database, for connections that go away when a test says so. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterFile } from "../cleanup.ts";

export interface TcpProxy {
  /** The database's URL by way of the proxy. */
  readonly url: string;
  /** Cuts every open connection; new ones are let through. */
  cut(): void;
  /** Cuts every open connection and takes no new one, until `mend`. */
  down(): Promise<void>;
  /** Passes on what is asked and holds back what is answered, until `mend`. */
  silence(): void;
  /**
   * Passes on the next thing that is asked, waits for its answer, drops it and cuts the connection:
   * the statement is committed and nobody hears of it. Resolves when that has happened.
   */
  loseNextAnswer(): Promise<void>;
  /**
   * Keeps the next thing that is asked and cuts the connection; `deliver` sends it after all and gives what is
   * answered until the other side closes. Resolves when it has been kept.
   */
  keepNextQuestion(): Promise<{ deliver(): Promise<string> }>;
  /** Passes on the next statement but for the Sync at its end; then that line is dead, both ways. */
  loseNextSync(): void;
  /** Ends each new session, as an administrator does, in the same packet that says it is ready. */
  endAtStart(): void;
  mend(): Promise<void>;
}

/** ReadyForQuery, and the FATAL ErrorResponse of a session that pg_terminate_backend ends. */
const ready = Buffer.from("Z\0\0\0\x05I", "latin1");
const fields = "SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0";
const terminated = Buffer.from(
  `E\0\0\0${String.fromCharCode(fields.length + 4)}${fields}`,
  "latin1",
);

const sync = Buffer.from("S\0\0\0\x04", "latin1");

/** Closed after the file. */
export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const target = new URL(databaseUrl);
  const open = new Set<Socket>();
  /** Sides of the database that outlive their client. */
  const orphans = new Set<Socket>();
  let silent = false;
  let endsAtStart = false;
  let lost: (() => void) | undefined;
  let kept: ((question: { deliver(): Promise<string> }) => void) | undefined;
  let losesSync = false;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        if (!orphans.has(other)) other.destroy();
      });
    }
    let isDead = false;
    client.on("data", (bytes) => {
      if (isDead) return;
      if (losesSync && bytes.subarray(-sync.length).equals(sync)) {
        losesSync = false;
        isDead = true;
        upstream.write(bytes.subarray(0, -sync.length));
        return;
      }
      if (!kept) {
        upstream.write(bytes);
        return;
      }
      orphans.add(upstream);
      client.destroy();
      const answers: Buffer[] = [];
      upstream.on("data", (answer) => answers.push(answer));
      const closed = once(upstream, "close");
      kept({
        deliver: async () => {
          upstream.end(bytes);
          await closed;
          return Buffer.concat(answers).toString("latin1");
        },
      });
      kept = undefined;
    });
    upstream.on("data", (bytes) => {
      if (isDead) return;
      if (lost) {
        client.destroy();
        lost();
        lost = undefined;
      } else if (endsAtStart && bytes.subarray(-6).equals(ready)) {
        client.write(Buffer.concat([bytes, terminated]));
      } else if (!silent) {
        client.write(bytes);
      }
    });
  });
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const cut = () => {
    for (const socket of open) if (!orphans.has(socket)) socket.destroy();
  };
  const down = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    cut();
    await closed;
  };
  const port = await listen(0);
  afterFile(down);

  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    cut,
    loseNextSync: () => {
      losesSync = true;
    },
    endAtStart: () => {
      endsAtStart = true;
    },
    down,
    silence: () => {
      silent = true;
    },
    loseNextAnswer: () =>
      new Promise((resolve) => {
        lost = resolve;
      }),
    keepNextQuestion: () =>
      new Promise((resolve) => {
        kept = resolve;
      }),
    mend: async () => {
      silent = false;
      if (!server.listening) await listen(port);
    },
  };
}
