/**
 * The API for programs in JavaScript and TypeScript, on fetch alone: Node 20 and newer, browsers, and
 * whatever else has fetch. A change is made once, however often it has to be sent.
 */
import { newIdempotencyKey } from "./idempotency-key.ts";
import { type List, listOf } from "./list.ts";
import type { Answered, Call } from "./one-try.ts";
import { send } from "./send.ts";
import { type ClientOptions, type Settings, settingsOf } from "./settings.ts";
import type {
  Adjusted,
  AdjustmentBody,
  Alive,
  CallOptions,
  CaptureBody,
  ChangeOptions,
  EntriesOptions,
  Entry,
  Hold,
  HoldBody,
  HoldClosed,
  HoldMade,
  ListOptions,
  OpeningBody,
  Outcome,
  Ready,
  StoredOperation,
  Transfer,
  TransferBody,
  TransferMade,
  TransfersMade,
  User,
  UserAt,
  UserInList,
  UsersOptions,
  Versioned,
  VoidBody,
} from "./shapes.ts";

export type { AnswerCode, Applied, ClientCode } from "./balance-error.ts";
// biome-ignore lint/performance/noBarrelFile: the one door of the package; there is nothing behind it to load in vain
export { BalanceError } from "./balance-error.ts";
export type { List, Page } from "./list.ts";
export type { ClientOptions, Fetch, Retry } from "./settings.ts";
export type * from "./shapes.ts";

/** Every method rejects with a BalanceError, also where the ledger refuses (INSUFFICIENT_FUNDS). */
export class BalanceClient {
  readonly #settings: Settings;

  /** @throws TypeError, RangeError for options that cannot be */
  constructor(options: ClientOptions) {
    this.#settings = settingsOf(options);
  }

  /** What a user can spend now. */
  async getUser(userId: number, options: CallOptions = {}): Promise<User & Versioned> {
    const { data, headers } = await this.#get<User>(path`/api/users/${userId}`, options);
    return { ...data, version: versionIn(headers) };
  }

  /** What a user could spend at a moment. */
  async getUserAt(userId: number, at: Date | string, options: CallOptions = {}): Promise<UserAt> {
    return (await this.#get<UserAt>(withQuery(path`/api/users/${userId}`, { at }), options)).data;
  }

  /** In the order of their ids. */
  listUsers({
    pageSize: limit,
    cursor: first,
    after,
    ...options
  }: UsersOptions = {}): List<UserInList> {
    return listOf(async (cursor) => {
      const begin = cursor === undefined ? { after } : { cursor };
      const asked = withQuery("/api/users", { limit, ...begin });
      const { data } = await this.#get<UsersPage>(asked, options);
      return { items: data.users, nextCursor: data.nextCursor };
    }, first);
  }

  async openUser(options: OpeningBody & ChangeOptions = {}): Promise<User & Outcome> {
    return made(await this.#change<User>("POST", "/api/users", options));
  }

  /**
   * Changes a balance by a signed amount.
   * @throws BalanceError INSUFFICIENT_FUNDS, and others
   */
  async adjust(
    userId: number,
    amount: number,
    options: Omit<AdjustmentBody, "amount"> & ChangeOptions = {},
  ): Promise<Adjusted & Outcome & Versioned> {
    const asked = { ...options, amount };
    const answer = await this.#change<Adjusted>("PUT", path`/api/users/${userId}/balance`, asked);
    return { ...made(answer), version: versionIn(answer.headers) };
  }

  /** Moves an amount from one user to another. `balance` is the payer's. */
  async transfer(
    transfer: TransferBody,
    options: ChangeOptions = {},
  ): Promise<TransferMade & Outcome> {
    return made(await this.#change("POST", "/api/transfers", { ...transfer, ...options }));
  }

  /** Up to 500 transfers, all of them or none. */
  async transferBatch(
    transfers: readonly TransferBody[],
    options: ChangeOptions = {},
  ): Promise<TransfersMade & Outcome> {
    const asked = { ...options, transfers };
    return made(await this.#change("POST", "/api/transfers/batch", asked));
  }

  async getTransfer(id: string, options: CallOptions = {}): Promise<Transfer> {
    return (await this.#get<Transfer>(path`/api/transfers/${id}`, options)).data;
  }

  /** Takes an amount out of what a user can spend, until it is captured, voided, or expires. */
  async hold(
    userId: number,
    amount: number,
    options: Omit<HoldBody, "amount"> & ChangeOptions = {},
  ): Promise<HoldMade & Outcome> {
    const asked = { ...options, amount };
    return made(await this.#change("POST", path`/api/users/${userId}/holds`, asked));
  }

  /** Open ones first, then closed ones, newest first in each. */
  listHolds(
    userId: number,
    { pageSize: limit, cursor: first, ...options }: ListOptions = {},
  ): List<Hold> {
    return listOf(async (cursor) => {
      const asked = withQuery(path`/api/users/${userId}/holds`, { limit, cursor });
      const { data } = await this.#get<HoldsPage>(asked, options);
      return { items: data.holds, nextCursor: data.nextCursor };
    }, first);
  }

  async getHold(userId: number, holdId: string, options: CallOptions = {}): Promise<Hold> {
    return (await this.#get<Hold>(path`/api/users/${userId}/holds/${holdId}`, options)).data;
  }

  /** Takes a hold's money for good, or `amount` of it; the rest goes back. */
  async captureHold(
    userId: number,
    holdId: string,
    options: CaptureBody & ChangeOptions = {},
  ): Promise<HoldClosed & Outcome> {
    const where = path`/api/users/${userId}/holds/${holdId}/capture`;
    return made(await this.#change("POST", where, options));
  }

  /** Gives a hold's money back. */
  async voidHold(
    userId: number,
    holdId: string,
    options: VoidBody & ChangeOptions = {},
  ): Promise<HoldClosed & Outcome> {
    const where = path`/api/users/${userId}/holds/${holdId}/void`;
    return made(await this.#change("POST", where, options));
  }

  /** A user's journal, newest first unless asked otherwise. */
  listEntries(
    userId: number,
    { pageSize: limit, cursor: first, order, from, to, actor, ...options }: EntriesOptions = {},
  ): List<Entry> {
    return listOf(async (cursor) => {
      const asked = { limit, cursor, order, from, to, actor };
      const where = withQuery(path`/api/users/${userId}/entries`, asked);
      const { data } = await this.#get<EntriesPage>(where, options);
      return { items: data.entries, nextCursor: data.nextCursor };
    }, first);
  }

  /** What became of the change of a user under a key. @throws BalanceError OPERATION_NOT_FOUND, and others */
  async getOperation(
    userId: number,
    key: string,
    options: CallOptions = {},
  ): Promise<StoredOperation> {
    const where = path`/api/users/${userId}/operations/${key}`;
    return (await this.#get<StoredOperation>(where, options)).data;
  }

  /** What became of the opening of a user under a key. @throws BalanceError OPERATION_NOT_FOUND, and others */
  async getOpening(key: string, options: CallOptions = {}): Promise<StoredOperation> {
    return (await this.#get<StoredOperation>(path`/api/operations/${key}`, options)).data;
  }

  /** The server's process lives. */
  async health(options: CallOptions = {}): Promise<Alive> {
    return (await this.#get<Alive>("/healthz", options)).data;
  }

  /** The server can do its work; rejects as long as it cannot. */
  async readiness(options: CallOptions = {}): Promise<Ready> {
    return (await this.#get<Ready>("/readyz", options)).data;
  }

  #get<Data>(where: string, options: CallOptions): Promise<Answered<Data>> {
    return send(call("GET", where), this.#settings, options);
  }

  /** @param asked the body's fields, and beside them what is none of the body's */
  async #change<Data>(
    method: "POST" | "PUT",
    where: string,
    { signal, timeoutMs, tryTimeoutMs, idempotencyKey, ifVersion, ...body }: ChangeOptions,
  ): Promise<Answered<Data> & { readonly key: string }> {
    const key = idempotencyKey ?? newIdempotencyKey();
    const asked: Call = { ...call(method, where), body, idempotencyKey: key, ifVersion };
    const answer = await send<Data>(asked, this.#settings, { signal, timeoutMs, tryTimeoutMs });
    return { ...answer, key };
  }
}

interface UsersPage {
  readonly users: UserInList[];
  readonly nextCursor: string | null;
}

interface HoldsPage {
  readonly holds: Hold[];
  readonly nextCursor: string | null;
}

interface EntriesPage {
  readonly entries: Entry[];
  readonly nextCursor: string | null;
}

function call(method: Call["method"], where: string): Call {
  return { method, path: where };
}

function made<Data>({
  data,
  headers,
  key,
}: Answered<Data> & { readonly key: string }): Data & Outcome {
  const replayed = headers.get("idempotent-replayed") === "true";
  return { ...data, idempotencyKey: key, replayed };
}

/** The version in an ETag, as "v12"; a proxy that compresses makes it W/"v12". */
function versionIn(headers: Headers): number | undefined {
  const digits = /^(?:W\/)?"v(\d+)"$/.exec(headers.get("etag") ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A path whose parts mean themselves: a key may have slashes. @throws TypeError for what leads elsewhere */
function path(texts: TemplateStringsArray, ...parts: readonly (string | number)[]): string {
  const dots = parts.find((part) => part === "." || part === ".." || part === "");
  if (dots !== undefined) throw new TypeError(`no URL can carry ${JSON.stringify(dots)} here`);
  return String.raw({ raw: texts }, ...parts.map((part) => encodeURIComponent(part)));
}

function withQuery(
  where: string,
  fields: Readonly<Record<string, string | number | Date | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    query.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = String(query);
  return text === "" ? where : `${where}?${text}`;
}
