/** Many requests at once, over many sockets, to one server or several: changes, or requests of any kind. */
import { Client } from "undici";

export interface LoadRequest {
  readonly userId: number;
  readonly amount: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back: an answer, or the code of the error that took its place. */
export type LoadAnswer =
  | { readonly status: number; readonly body: string; readonly replayed: boolean }
  | { readonly status: 0; readonly body: string; readonly replayed: false };

/** Sends everything before the first answer can arrive; answers come in the order of the requests. */
export async function hitAtOnce(
  urls: readonly string[],
  requests: readonly LoadRequest[],
  socketsPerServer = 500,
): Promise<LoadAnswer[]> {
  const load = openLoad(urls, socketsPerServer);
  try {
    return await Promise.all(requests.map((request, index) => load.send(request, index)));
  } finally {
    await load.close();
  }
}

export interface Load {
  /** Opens every socket; each has had an answer when it resolves. */
  open(): Promise<void>;
  /** Request number `index` goes to server `index` modulo the number of servers. */
  send(request: LoadRequest, index: number): Promise<LoadAnswer>;
  close(): Promise<void>;
}

export function openLoad(urls: readonly string[], socketsPerServer: number): Load {
  const sockets = openSockets(urls, socketsPerServer * urls.length);
  return {
    open: async () => {
      const answers = await Promise.all(
        sockets.map((socket) => socket.request({ method: "GET", path: "/healthz" })),
      );
      await Promise.all(answers.map(({ body }) => body.dump()));
    },
    send: async ({ userId, amount, headers }, index) => {
      const socket = sockets[index % sockets.length] as Client;
      try {
        const answer = await socket.request({
          method: "PUT",
          path: `/api/users/${userId}/balance`,
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ amount }),
        });
        const body = await answer.body.text();
        const replayed = answer.headers["idempotent-replayed"] === "true";
        return { status: answer.statusCode, body, replayed };
      } catch (error) {
        const { code, name } = error as NodeJS.ErrnoException;
        return { status: 0, body: code ?? name, replayed: false };
      }
    },
    close: async () => {
      await Promise.all(sockets.map((socket) => socket.destroy()));
    },
  };
}

/** How many of each outcome: "200", "422 INSUFFICIENT_FUNDS", "no answer (ECONNRESET)". */
export function tally(answers: readonly LoadAnswer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const code = /"code":"([A-Z_]+)"/.exec(body)?.[1];
    const key = status === 0 ? `no answer (${body})` : [status, code].filter(Boolean).join(" ");
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

function openSockets(urls: readonly string[], count: number): Client[] {
  return Array.from({ length: count }, (_, index) => {
    const url = urls[index % urls.length] as string;
    return new Client(url, { pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });
  });
}

export interface ApiCall {
  readonly method?: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiReply<T = Record<string, unknown>> {
  /** 0 where no answer came. */
  readonly status: number;
  /** "200", "422 INSUFFICIENT_FUNDS", "no answer (ECONNRESET)". */
  readonly outcome: string;
  readonly data: T | undefined;
}

export interface ApiLoad {
  /** Each call as soon as a socket of its own is free; answers in the order of the calls. */
  all<T>(calls: readonly ApiCall[]): Promise<ApiReply<T>[]>;
  /**
   * Every socket sends what `next` gives it, one after the other, until it gives undefined.
   * @param next is told the answer to the call before
   */
  drive(next: (socket: number, before: ApiReply | undefined) => ApiCall | undefined): Promise<void>;
  close(): Promise<void>;
}

export function openApiLoad(urls: readonly string[], socketCount: number): ApiLoad {
  const sockets = openSockets(urls, socketCount);
  return {
    all: async <T>(calls: readonly ApiCall[]) =>
      await Promise.all(
        calls.map((call, index) => sendCall<T>(sockets[index % socketCount] as Client, call)),
      ),
    drive: async (next) => {
      await Promise.all(
        sockets.map(async (socket, index) => {
          let reply: ApiReply | undefined;
          for (let call = next(index, reply); call !== undefined; call = next(index, reply)) {
            reply = await sendCall(socket, call);
          }
        }),
      );
    },
    close: async () => {
      await Promise.all(sockets.map((socket) => socket.destroy()));
    },
  };
}

async function sendCall<T>(
  socket: Client,
  { method = "POST", path, body, headers }: ApiCall,
): Promise<ApiReply<T>> {
  try {
    const answer = await socket.request({
      method,
      path,
      headers: { ...(body && { "content-type": "application/json" }), ...headers },
      body: body ? JSON.stringify(body) : null,
    });
    const { data, error } = (await answer.body.json()) as { data?: T; error?: { code: string } };
    const { statusCode: status } = answer;
    return { status, outcome: error ? `${status} ${error.code}` : String(status), data };
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    return { status: 0, outcome: `no answer (${code ?? name})`, data: undefined };
  }
}

/** How many of each. */
export function count(outcomes: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
