import { BalancectlError } from "../errors.ts";
import type { User } from "../ledger/ledger.ts";
import { refusalError } from "../ledger/refusal.ts";
import { opening } from "../ledger/request.ts";
import type { Context } from "./context.ts";
import { grouped, table } from "./output.ts";
import { withLedger } from "./with-ledger.ts";
import { type WriteFlags, writeOptions } from "./write-options.ts";

export interface CreateFlags extends WriteFlags {
  readonly id?: number;
  readonly balance: number;
}

export async function createUser(context: Context, flags: CreateFlags): Promise<void> {
  const { output } = context;
  const { id, balance } = flags;
  const options = writeOptions(flags);
  const outcome = await withLedger(context, (ledger) => ledger.openUser({ id, balance }, options));
  const userId = outcome.createdUserId ?? id ?? 0;
  if (outcome.refusal !== null) throw refusalError(outcome.refusal, opening(userId, balance, id));
  output.result({ success: true, data: { id: userId, balance } }, () => {
    return `User ${userId} opened with ${output.paint.bold(grouped(balance))}`;
  });
}

export interface ListFlags {
  readonly limit: number;
  /** Ids beyond this one. */
  readonly after: number;
}

export async function listUsers(context: Context, { limit, after }: ListFlags): Promise<void> {
  const { output } = context;
  const found = await withLedger(context, (ledger) => ledger.listUsers(after, limit + 1));
  const users = found.slice(0, limit);
  const next = found.length > limit ? users.at(-1)?.id : undefined;
  output.result({ success: true, data: { users: users.map(userView), next: next ?? null } }, () =>
    users.length === 0 ? `No users beyond ${after}` : usersTable(users),
  );
  if (next !== undefined) output.note(`More: --after ${next}`);
}

export async function showUser(context: Context, userId: number): Promise<void> {
  const { output } = context;
  const user = await withLedger(context, (ledger) => ledger.findUser(userId));
  if (user === null) throw new BalancectlError("USER_NOT_FOUND", `User ${userId} not found`);
  output.result({ success: true, data: userView(user) }, () => usersTable([user]));
}

function usersTable(users: readonly User[]): string {
  const rows = users.map(({ id, balance, held, version, updatedAt }) => [
    String(id),
    grouped(balance),
    grouped(held),
    grouped(version),
    updatedAt.toISOString(),
  ]);
  return table([["user", "balance", "held", "entries", "last change"], ...rows], [0, 1, 2, 3]);
}

function userView({ id, balance, held, version, createdAt, updatedAt }: User): object {
  return {
    ...{ id, balance, held, version },
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
