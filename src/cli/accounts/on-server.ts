import { type BalanceClient, BalanceError, type List } from "../../client/balance-client.ts";
import { BalancectlError, type ErrorCode, errorMessages } from "../../errors.ts";
import { type Page, pageSize } from "../listing.ts";
import type { Accounts } from "./accounts.ts";

/** By way of a server, which may be anywhere. */
export function accountsOnServer(client: BalanceClient, signal: AbortSignal): Accounts {
  /** @throws BalancectlError for what the client throws; the signal's reason when that has come */
  async function told<Data>(work: Promise<Data>): Promise<Data> {
    try {
      return await work;
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof BalanceError ? asBalancectlError(error) : error;
    }
  }
  async function* pages<T>(limit: number, list: List<T>): AsyncGenerator<Page<T>> {
    const read = list.pages();
    for (let left = limit; left > 0; ) {
      const { value, done } = await told(read.next());
      if (done) return;
      const items = value.items.slice(0, left);
      const more = items.length < value.items.length || value.nextCursor !== null;
      left -= items.length;
      yield { items, more };
    }
  }
  const sized = (limit: number) => ({ pageSize: Math.min(pageSize, limit), signal });
  return {
    adjust: async (userId, amount, options) => {
      const answer = client.adjust(userId, amount, { ...options, signal });
      const { version: _, idempotencyKey: __, replayed, ...data } = await told(answer);
      return { data, replayed };
    },
    transfer: async (asked, options) =>
      dataOf(await told(client.transfer(asked, { ...options, signal }))),
    hold: async (userId, { amount, lifetimeSeconds: expiresIn }, options) => {
      const asked = { ...options, ...(expiresIn !== undefined && { expiresIn }), signal };
      return dataOf(await told(client.hold(userId, amount, asked)));
    },
    capture: async (userId, holdId, asked, options) =>
      dataOf(await told(client.captureHold(userId, holdId, { ...options, ...asked, signal }))),
    voidHold: async (userId, holdId, options) =>
      dataOf(await told(client.voidHold(userId, holdId, { ...options, signal }))),
    openUser: async (asked, options) =>
      dataOf(await told(client.openUser({ ...options, ...asked, signal }))),
    user: async (userId) => {
      // One user alone is shown with the balance and no more.
      const list = client.listUsers({ ...beyond(userId - 1), pageSize: 1, signal });
      const [user] = (await told(list.page())).items;
      if (user?.id === userId) return user;
      throw new BalancectlError("USER_NOT_FOUND", `User ${userId} not found`);
    },
    users: (after, limit) => pages(limit, client.listUsers({ ...beyond(after), ...sized(limit) })),
    holds: (userId, limit) => pages(limit, client.listHolds(userId, sized(limit))),
    entries: (userId, span, limit) =>
      pages(limit, client.listEntries(userId, { ...span, ...sized(limit) })),
  };
}

/** All ids are beyond 0, which is none. */
function beyond(after: number): { readonly after?: number } {
  return after === 0 ? {} : { after };
}

function dataOf<Data extends { readonly idempotencyKey: string; readonly replayed: boolean }>({
  idempotencyKey: _,
  replayed: __,
  ...data
}: Data): Omit<Data, "idempotencyKey" | "replayed"> {
  return data;
}

function asBalancectlError(error: BalanceError): BalancectlError {
  const { code, message, applied, idempotencyKey: key } = error;
  if (applied === "unknown" && key !== undefined) {
    return new BalancectlError(
      "OUTCOME_UNKNOWN",
      `${message}\nWhether the change was made is not known: it is found, or made, once, by the same ` +
        `command with\n--idempotency-key ${key}`,
      { cause: error },
    );
  }
  if (isKnown(code)) return new BalancectlError(code, message, { cause: error });
  return new BalancectlError("SERVER_UNREACHABLE", message, { cause: error });
}

/** A newer server may have codes that this program has not, and the client has its own. */
function isKnown(code: string): code is ErrorCode {
  return code in errorMessages;
}
