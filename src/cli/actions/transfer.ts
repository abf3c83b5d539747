import { refusalError } from "../../ledger/refusal.ts";
import { transfer as transferOperation } from "../../ledger/request.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { grouped } from "../output.ts";
import { withLedger } from "../with-ledger.ts";
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
  const operation = transferOperation({ from, to, amount }, writeOptions(flags));
  const outcome = await withLedger(context, (ledger) => ledger.apply(operation));
  if (outcome.refusal !== null) throw refusalError(outcome, operation);
  const { operationId: id, balance } = outcome;
  const data = { id, from, to, amount, balance };
  output.result({ success: true, data }, () => {
    const left = `user ${from} has ${output.paint.bold(grouped(balance))} left`;
    return `Transfer ${id}: ${grouped(amount)} from user ${from} to user ${to}; ${left}`;
  });
}
