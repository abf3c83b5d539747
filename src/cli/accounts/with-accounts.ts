import { BalanceClient, type Retry } from "../../client/balance-client.ts";
import { BalancectlError } from "../../errors.ts";
import { readAccessToken } from "../access-token.ts";
import type { ServerFlags } from "../commands/server-flags.ts";
import type { Context } from "../context.ts";
import { withLedger } from "../with-ledger.ts";
import type { Accounts } from "./accounts.ts";
import { accountsInDatabase } from "./in-database.ts";
import { accountsOnServer } from "./on-server.ts";

/** Somebody waits before a terminal: 1.5 s of waits at most, beside what a server asks for. */
const triesMax = 5;

/** Runs `work` on the server that the flags name, or else straight on the configured database. */
export async function withAccounts<T>(
  context: Context,
  { url, tokenFile }: ServerFlags,
  work: (accounts: Accounts) => Promise<T>,
): Promise<T> {
  const { stopping, output, env } = context;
  if (url === undefined) {
    if (tokenFile !== undefined) {
      throw new BalancectlError("INVALID_REQUEST", "--token-file goes with --url");
    }
    return await withLedger(context, (ledger) => work(accountsInDatabase(ledger, stopping)));
  }
  const token = await readAccessToken(env, tokenFile);
  const progress = output.progress(`Asking ${url}`);
  const onRetry = ({ error, waitMs }: Retry) =>
    progress.step(`${error.message}; again in ${(waitMs / 1_000).toFixed(1)} s`);
  try {
    const client = clientOf({ url, token, triesMax, onRetry });
    return await work(accountsOnServer(client, stopping));
  } finally {
    progress.end();
  }
}

function clientOf(options: ConstructorParameters<typeof BalanceClient>[0]): BalanceClient {
  try {
    return new BalanceClient(options);
  } catch (error) {
    throw new BalancectlError("INVALID_REQUEST", `--${(error as Error).message}`);
  }
}
