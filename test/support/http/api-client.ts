/** The API as a test talks to it: short to write, and the answer in full. */
import { expect } from "vitest";
import { statusOf } from "../../../src/http/answer.ts";
import { type Answer, send } from "./api.ts";

type Headers = Readonly<Record<string, string>>;

export interface ApiClient {
  get<T>(path: string, headers?: Headers): Promise<Answer<T>>;
  put<T>(path: string, body?: unknown, headers?: Headers): Promise<Answer<T>>;
  post<T>(path: string, body?: unknown, headers?: Headers): Promise<Answer<T>>;
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
  const get = async <T>(path: string, headers?: Headers) =>
    await send<T>(url + path, "GET", undefined, headers);
  const post = async <T>(path: string, body?: unknown, headers?: Headers) =>
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

/** The whole of an error's answer. */
export function expectError(answer: Answer, code: keyof typeof statusOf, message: string): void {
  expect({ status: answer.status, body: answer.body }).toEqual({
    status: statusOf[code],
    body: { success: false, error: { code, message } },
  });
}

/** A UUID of version 7 whose last four digits number the legs of a batch. */
export const uuidV7Shape = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
export const unknownUuid = "00000000-0000-7000-8000-000000000000";
