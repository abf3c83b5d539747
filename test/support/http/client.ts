/** The API as a test talks to it: one exchange, sent as a program would or exactly as written. */
import { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import { expect } from "vitest";
import { statusOf } from "../../../src/http/answer.ts";
import { expectDescribed } from "./described.ts";

/** An answer as it came; that it is one which the API describes is looked at with each. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    success: boolean;
    data?: T;
    error?: { code: string; message: string; details?: unknown };
  };
}

/** As simple as curl. */
export async function send<T = unknown>(
  url: string,
  method: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const response = await fetch(url, {
    method,
    headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = text === "" ? { success: response.ok } : JSON.parse(text);
  if (text !== "") expectDescribed(method, new URL(url).pathname, response.status, answer);
  return { status: response.status, headers: response.headers, body: answer };
}

export interface Exchange {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** An iterable is sent in chunks, without a Content-Length. */
  readonly body?: string | Buffer | Iterable<Buffer>;
}

/** No header is added but Host and the body's length. */
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
  const isJson = String(answer.headers["content-type"]).startsWith("application/json");
  if (text !== "" && isJson) expectDescribed(method, path, answer.statusCode, JSON.parse(text));
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

type HeaderFields = Readonly<Record<string, string>>;

export interface ApiClient {
  get<T>(path: string, headers?: HeaderFields): Promise<Answer<T>>;
  put<T>(path: string, body?: unknown, headers?: HeaderFields): Promise<Answer<T>>;
  post<T>(path: string, body?: unknown, headers?: HeaderFields): Promise<Answer<T>>;
  /** Opens a user under the next free id. */
  openUser(balance: number): Promise<number>;
  balanceOf(userId: number): Promise<number>;
  /** A user's entries, the oldest first, without the opening. */
  entriesOf(userId: number): Promise<Entry[]>;
}

export interface Entry {
  readonly version: number;
  readonly amount: number;
  readonly balance: number;
  readonly kind: string;
  readonly transferId?: string;
  readonly holdId?: string;
  readonly reference?: string;
  readonly metadata?: object;
  readonly createdAt: string;
}

export function createApiClient(url: string): ApiClient {
  const get = async <T>(path: string, headers?: HeaderFields) =>
    await send<T>(url + path, "GET", undefined, headers);
  const post = async <T>(path: string, body?: unknown, headers?: HeaderFields) =>
    await send<T>(url + path, "POST", body, headers);
  return {
    get,
    post,
    put: async (path, body, headers) => await send(url + path, "PUT", body, headers),
    openUser: async (balance) => {
      const { body } = await post<{ id: number }>("/api/users", { balance });
      return body.data?.id as number;
    },
    balanceOf: async (userId) => {
      const { body } = await get<{ balance: number }>(`/api/users/${userId}`);
      return body.data?.balance as number;
    },
    entriesOf: async (userId) => {
      const path = `/api/users/${userId}/entries?order=asc&limit=1000`;
      const { body } = await get<{ entries: Entry[] }>(path);
      return (body.data?.entries ?? []).filter(({ kind }) => kind !== "opening");
    },
  };
}

/** The whole of an error's answer but its details, which details.test.ts is about. */
export function expectError(answer: Answer, code: keyof typeof statusOf, message: string): void {
  expect({ status: answer.status, body: withoutDetails(answer.body) }).toEqual({
    status: statusOf[code],
    body: { success: false, error: { code, message } },
  });
}

export function withoutDetails(body: Answer["body"]): Answer["body"] {
  if (body.error === undefined) return body;
  const { details: _, ...error } = body.error;
  return { ...body, error };
}

/** A UUID of version 7 whose last four digits number the legs of a batch. */
export const uuidV7Shape = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
export const unknownUuid = "00000000-0000-7000-8000-000000000000";
