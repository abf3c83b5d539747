import { transfer as transferOperation } from "../../ledger/request.ts";
import { withAccounts } from "../accounts/with-accounts.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { grouped } from "../output.ts";
import { writeOptions } from "../write-options.ts";

/** Moves an amount from one user to another. */
export async function transfer(
  context: Context,
  from: number,
  to: number,
  amount: number,
  flags: WriteFlags,
): Promise<void> {
  const { output } = context;
  const options = writeOptions(flags);
  // What cannot be is said before there is a connection.
  transferOperation({ from, to, amount }, options);
  const data = await withAccounts(context, flags, (accounts) =>
    accounts.transfer({ from, to, amount }, options),
  );
  output.result({ success: true, data }, () => {
    const left = `user ${from} has ${output.paint.bold(grouped(data.balance))} left`;
    return `Transfer ${data.id}: ${grouped(amount)} from user ${from} to user ${to}; ${left}`;
  });
}
