import { closedHoldView, entryView, holdView, userView } from "../../http/contract/views.ts";
import type { Entry } from "../../ledger/history.ts";
import type { Hold } from "../../ledger/holds.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { Applied, Operation } from "../../ledger/operation.ts";
import type { User } from "../../ledger/reads.ts";
import { refusalError } from "../../ledger/refusal.ts";
import * as request from "../../ledger/request.ts";
import { type Page, pageSize, pagesOf } from "../listing.ts";
import type { Accounts, Span } from "./accounts.ts";

/** Straight on the database. */
export function accountsInDatabase(ledger: Ledger, signal: AbortSignal): Accounts {
  async function apply<O extends Operation>(operation: O): Promise<Applied<O>> {
    const outcome = await ledger.apply(operation);
    if (outcome.refusal === null) return outcome;
    throw refusalError(outcome, operation);
  }
  return {
    adjust: async (id, amount, options) => {
      const operation = request.adjustment(id, amount, options);
      const { balance, previousBalance, replayed } = await apply(operation);
      return { data: { id, balance, previousBalance, amount }, replayed };
    },
    transfer: async (asked, options) => {
      const { operationId: id, balance } = await apply(request.transfer(asked, options));
      return { id, ...asked, balance };
    },
    hold: async (userId, { amount, lifetimeSeconds }, options) => {
      const { hold, balance } = await apply(request.hold(userId, amount, lifetimeSeconds, options));
      return { ...holdView(hold), balance };
    },
    capture: async (userId, holdId, asked, options) => {
      const operation = request.capture({ userId, holdId, ...asked }, options);
      const { hold, balance } = await apply(operation);
      return closedHoldView(hold, balance, asked.to);
    },
    voidHold: async (userId, holdId, options) => {
      const { hold, balance } = await apply(request.voidHold(userId, holdId, options));
      return closedHoldView(hold, balance);
    },
    openUser: async ({ id, balance }, options) => {
      const outcome = await ledger.openUser({ id, balance }, options);
      if (outcome.refusal === null) return { id: outcome.createdUserId, balance };
      throw refusalError(outcome, request.opening(id ?? 0, balance, id));
    },
    user: async (userId) => userView(await ledger.user(userId)),
    users: (beyond, limit) =>
      viewed(
        userView,
        pagesOf<User>(limit, async (last, count) => {
          signal.throwIfAborted();
          return await ledger.users(last?.id ?? beyond, count);
        }),
      ),
    holds: (userId, limit) =>
      viewed(
        holdView,
        pagesOf<Hold>(limit, async (last, count) => {
          signal.throwIfAborted();
          const open = last === undefined || last.state === "open";
          return await ledger.holds(userId, { open, before: last?.id ?? null }, count);
        }),
      ),
    entries: (userId, span, limit) =>
      viewed(entryView, entryPages(ledger, userId, span, limit, signal)),
  };
}

async function* viewed<T, View>(
  view: (item: T) => View,
  pages: AsyncIterable<Page<T>>,
): AsyncGenerator<Page<View>> {
  for await (const { items, more } of pages) yield { items: items.map(view), more };
}

async function* entryPages(
  ledger: Ledger,
  userId: number,
  span: Span,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<Page<Entry>> {
  let after: number | undefined;
  for (let left = limit; left > 0; ) {
    signal.throwIfAborted();
    const page = { userId, ...span, after, limit: Math.min(pageSize, left) };
    const { entries: items, more } = await ledger.entries(page);
    yield { items, more };
    if (!more) return;
    after = items.at(-1)?.version;
    left -= items.length;
  }
}
