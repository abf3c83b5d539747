/** The reads, and the one user that a run creates: the API as a client sees it, over one socket. */
import { randomUUID } from "node:crypto";
import { Client } from "undici";
import { BalancectlError } from "../errors.ts";
import { bearer, errorCode, failureCause, isBalance, parseObject, propertyOf } from "./answer.ts";

export interface ApiUser {
  readonly id: number;
  readonly balance: number;
}

export interface ApiEntry {
  readonly version: number;
  readonly amount: number;
  readonly balance: number;
}

/** Newest first; `nextCursor` null on the last page. */
export interface ApiEntriesPage {
  readonly entries: readonly ApiEntry[];
  readonly nextCursor: string | null;
}

/**
 * Every method throws BalancectlError: USER_NOT_FOUND where the server says so, otherwise
 * SERVER_FAILED with what was asked and what came back.
 */
export interface Api {
  createUser(balance: number): Promise<ApiUser>;
  readUser(id: number): Promise<ApiUser>;
  readEntries(id: number, limit: number, cursor?: string): Promise<ApiEntriesPage>;
  close(): Promise<void>;
}

// A page of 1,000 entries is about 150 kB.
const answerBytesMax = 16_000_000;

export interface ApiOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether the user is created under an Idempotency-Key. */
  readonly keys?: boolean | undefined;
  readonly token?: string | undefined;
}

export function createApi(url: URL, { timeoutMs, signal, keys, token }: ApiOptions): Api {
  const client = new Client(url.origin, {
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: timeoutMs },
    maxResponseSize: answerBytesMax,
  });
  const users = `${pathPrefix(url)}/api/users`;

  const ask = async (method: "GET" | "POST", path: string, status: number, body?: unknown) => {
    const what = `${method} ${url.origin}${path}`;
    const sent = body === undefined ? null : JSON.stringify(body);
    const headers = bearer(token);
    if (sent !== null) headers.push("content-type", "application/json");
    if (sent !== null && keys) headers.push("idempotency-key", randomUUID());
    let answer: { status: number; text: string };
    try {
      const response = await client.request({ method, path, headers, body: sent, signal });
      answer = { status: response.statusCode, text: await response.body.text() };
    } catch (error) {
      throw new BalancectlError("SERVER_FAILED", `${what}: no answer (${failureCause(error)})`, {
        cause: error,
      });
    }
    const envelope = parseObject(answer.text);
    if (answer.status === status && propertyOf(envelope, "success") === true) {
      return { what, data: propertyOf(envelope, "data") };
    }
    const code = errorCode(envelope) ?? "without a code";
    const hint =
      answer.status === 401 || answer.status === 403
        ? "; BALANCECTL_TOKEN names the token to show, one that may write for all users"
        : "";
    throw new BalancectlError(
      answer.status === 404 && code === "USER_NOT_FOUND" ? code : "SERVER_FAILED",
      `${what}: answered ${answer.status} ${code}, expected ${status}${hint}`,
    );
  };

  return {
    async createUser(balance) {
      const { what, data } = await ask("POST", users, 201, { balance });
      const user = checkUser(what, data);
      if (user.balance === balance) return user;
      throw malformed(what, `a balance of ${user.balance} where ${balance} was asked for`);
    },
    async readUser(id) {
      const { what, data } = await ask("GET", `${users}/${id}`, 200);
      const user = checkUser(what, data);
      if (user.id === id) return user;
      throw malformed(what, `user ${user.id}`);
    },
    async readEntries(id, limit, cursor) {
      const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const path = `${users}/${id}/entries?limit=${limit}${query}`;
      const { what, data } = await ask("GET", path, 200);
      return checkPage(what, data);
    },
    close: () => client.destroy(),
  };
}

/** The path below which the API lives: "" for a bare origin, without a slash at its end. */
export function pathPrefix(url: URL): string {
  return url.pathname.replace(/\/+$/, "");
}

function checkUser(what: string, data: unknown): ApiUser {
  const id = propertyOf(data, "id");
  const balance = propertyOf(data, "balance");
  if (Number.isSafeInteger(id) && isBalance(balance)) return { id: id as number, balance };
  throw malformed(what, "no user with a whole id and balance");
}

function checkPage(what: string, data: unknown): ApiEntriesPage {
  const entries = propertyOf(data, "entries");
  const nextCursor = propertyOf(data, "nextCursor");
  if (!Array.isArray(entries) || !entries.every(isEntry)) {
    throw malformed(what, "entries without whole versions, amounts and balances");
  }
  if (nextCursor !== null && (typeof nextCursor !== "string" || entries.length === 0)) {
    throw malformed(what, "a cursor that leads nowhere");
  }
  return { entries, nextCursor };
}

function isEntry(entry: unknown): entry is ApiEntry {
  return (
    Number.isSafeInteger(propertyOf(entry, "version")) &&
    Number.isSafeInteger(propertyOf(entry, "amount")) &&
    isBalance(propertyOf(entry, "balance"))
  );
}

function malformed(what: string, seen: string): BalancectlError {
  return new BalancectlError("SERVER_FAILED", `${what}: malformed answer, ${seen}`);
}
