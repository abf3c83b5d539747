/** One request over a connection that is kept, without a retry of its own: what came back, or why nothing did. */
import { Agent, request } from "node:http";
import type { AttemptLine } from "../history/history.ts";

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: object;
}

export type Answer = Omit<AttemptLine, "type" | "question" | "server" | "sentMs" | "doneMs">;

/** Nobody waits longer: it is far beyond what the servers promise. */
const patienceMs = 90_000;

export function createAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 256 });
}

export function ask(url: string, agent: Agent, exchange: Exchange): Promise<Answer> {
  const { method, path, headers, body } = exchange;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve) => {
    const lose = (lostBy: string) => resolve({ status: 0, lostBy });
    const asking = request(url + path, {
      method,
      agent,
      headers: {
        ...headers,
        ...(text !== undefined && {
          "Content-Type": "application/json",
          "Content-Length": Buffer.byteLength(text),
        }),
      },
      timeout: patienceMs,
    });
    asking.on("timeout", () => asking.destroy(Object.assign(new Error(), { code: "PATIENCE" })));
    asking.on("error", (error: NodeJS.ErrnoException) => lose(error.code ?? error.message));
    asking.on("response", (response) => {
      let received = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        received += chunk;
      });
      response.on("error", (error: NodeJS.ErrnoException) => lose(error.code ?? error.message));
      response.on("end", () => {
        if (!response.complete) lose("INCOMPLETE");
        else resolve(answerOf(response.statusCode ?? 0, response.headers, received));
      });
    });
    asking.end(text);
  });
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly message: string; readonly applied?: string };
}

function answerOf(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  text: string,
): Answer {
  let body: Body;
  try {
    body = JSON.parse(text) as Body;
  } catch {
    return { status, code: "NO_JSON", message: text.slice(0, 200) };
  }
  const { etag, "idempotent-replayed": replayed, "retry-after": retryAfter } = headers;
  const version = /^"v(\d+)"$/.exec(String(etag))?.[1];
  return {
    status,
    ...body.error,
    ...(body.data && { data: body.data }),
    ...(version !== undefined && { version: Number(version) }),
    ...(replayed === "true" && { replayed: true }),
    ...(retryAfter !== undefined && { retryAfter: String(retryAfter) }),
  };
}
