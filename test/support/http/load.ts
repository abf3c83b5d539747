/** Many requests at once, over many sockets, to one server or several. */
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
  const sockets = Array.from({ length: socketsPerServer * urls.length }, (_, index) => {
    const url = urls[index % urls.length] as string;
    return new Client(url, { pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });
  });
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
