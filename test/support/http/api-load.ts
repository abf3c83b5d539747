/** Requests of any kind over many sockets, to one server or several. */
import { Client } from "undici";

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
  const sockets = Array.from({ length: socketCount }, (_, index) => {
    const url = urls[index % urls.length] as string;
    return new Client(url, { pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });
  });
  return {
    all: async <T>(calls: readonly ApiCall[]) =>
      await Promise.all(
        calls.map((call, index) => send<T>(sockets[index % socketCount] as Client, call)),
      ),
    drive: async (next) => {
      await Promise.all(
        sockets.map(async (socket, index) => {
          let reply: ApiReply | undefined;
          for (let call = next(index, reply); call !== undefined; call = next(index, reply)) {
            reply = await send(socket, call);
          }
        }),
      );
    },
    close: async () => {
      await Promise.all(sockets.map((socket) => socket.destroy()));
    },
  };
}

async function send<T>(
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
