/** A real HTTP server that answers what a test tells it to, one answer a request, and keeps what was asked. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterFile } from "../cleanup.ts";

export interface ScriptedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

/** "never" answers nothing, "cut" closes the connection. */
export type Step = ScriptedAnswer | "never" | "cut";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly atMs: number;
}

export interface ScriptedServer {
  readonly url: string;
  /** The script of the next requests; the last step is every further request's. Forgets what was asked. */
  script(...steps: Step[]): Asked[];
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  let steps: Step[] = [];
  let asked: Asked[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const { method = "", url: path = "", headers } = req;
    const body = Buffer.concat(chunks).toString();
    asked.push({ method, path, headers, body, atMs: performance.now() });
    answer(res, steps.length > 1 ? steps.shift() : steps[0]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterFile(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    script: (...next) => {
      steps = next;
      asked = [];
      return asked;
    },
  };
}

function answer(res: ServerResponse, step: Step | undefined): void {
  if (step === "never") return;
  if (step === undefined || step === "cut") {
    res.destroy();
    return;
  }
  const { status, headers = {}, body = "" } = step;
  const isText = typeof body === "string";
  const type = isText ? "text/html" : "application/json; charset=utf-8";
  res.writeHead(status, { "Content-Type": type, ...headers });
  res.end(isText ? body : JSON.stringify(body));
}
