/** One HTTP exchange, sent exactly as written: no header is added but Host and the body's length. */
import { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import type { Answer } from "./api.ts";

export interface Exchange {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** An iterable is sent in chunks, without a Content-Length. */
  readonly body?: string | Buffer | Iterable<Buffer>;
}

export async function exchange<T = unknown>(
  serverUrl: string,
  { method = "GET", path, headers = {}, body }: Exchange,
): Promise<Answer<T> & { readonly text: string }> {
  const answer = await request(serverUrl + path, {
    method: method as Dispatcher.HttpMethod,
    headers,
    body: isChunked(body) ? Readable.from(body) : (body ?? null),
  });
  const text = await answer.body.text();
  const entries = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  return {
    status: answer.statusCode,
    headers: new Headers(entries as [string, string][]),
    text,
    body: text === "" ? { success: answer.statusCode < 400 } : JSON.parse(text),
  };
}

function isChunked(body: Exchange["body"]): body is Iterable<Buffer> {
  return body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body);
}
