import {
  makeToken,
  listTokens as readTokens,
  revokeTokens,
  type StoredToken,
} from "../../access/token-store.ts";
import { account } from "../../account.ts";
import { BalancectlError } from "../../errors.ts";
import type { CreateTokenFlags } from "../commands/token.ts";
import type { Context } from "../context.ts";
import { counted, table } from "../output.ts";
import { withDatabase } from "../with-database.ts";

export async function createToken(context: Context, flags: CreateTokenFlags): Promise<void> {
  const { output } = context;
  const request = {
    ...{ client: flags.name, right: flags.scope, userIds: flags.user ?? null },
    ...{ rate: flags.rate ?? null, lifetimeSeconds: flags.expires ?? null },
  };
  const made = await withDatabase(context, (url) => makeToken(url, request, account()));
  const { text, ...token } = made;
  output.note("This is shown once, and kept nowhere: whoever has it may do what it says.");
  output.result({ token: text, ...tokenView(token) }, () => text);
}

export async function listTokens(context: Context): Promise<void> {
  const tokens = await withDatabase(context, readTokens);
  context.output.result({ tokens: tokens.map(tokenView) }, () => {
    if (tokens.length === 0) return "There are no tokens";
    const head = ["id", "name", "scope", "users", "rate", "created", "by", "state"];
    return table([head, ...tokens.map(row)]);
  });
}

export async function revokeToken(context: Context, which: string): Promise<void> {
  const revoked = await withDatabase(context, (url) => revokeTokens(url, which, account()));
  if (revoked.length === 0) {
    const message = `No token that is good has the id or the name ${JSON.stringify(which)}: \`balancectl token list\` shows them`;
    throw new BalancectlError("INVALID_REQUEST", message);
  }
  context.output.result({ revoked: revoked.map(tokenView) }, () => {
    const ids = revoked.map(({ id }) => id).join(", ");
    return `Revoked ${counted(revoked.length, "token")} (${ids}); servers refuse within 5 s`;
  });
}

function tokenView({ client, ...token }: StoredToken) {
  const { createdAt, expiresAt, revokedAt } = token;
  return {
    ...{ id: token.id, name: client, scope: token.scope },
    ...(token.userIds !== null && { userIds: token.userIds }),
    ...(token.rate !== null && { rate: token.rate }),
    ...{ createdAt: createdAt.toISOString(), createdBy: token.createdBy },
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
    ...(revokedAt && { revokedAt: revokedAt.toISOString() }),
  };
}

function row(token: StoredToken): string[] {
  const { id, client, scope, userIds, rate, createdAt, createdBy } = token;
  return [
    ...[id, client, scope, userIds?.join(" ") ?? "all", rate === null ? "" : `${rate}/s`],
    ...[createdAt.toISOString(), createdBy, stateOf(token)],
  ];
}

function stateOf({ expiresAt, revokedAt }: StoredToken): string {
  if (revokedAt) return `revoked ${revokedAt.toISOString()}`;
  if (expiresAt === null) return "good";
  return `${expiresAt <= new Date() ? "expired" : "good until"} ${expiresAt.toISOString()}`;
}
