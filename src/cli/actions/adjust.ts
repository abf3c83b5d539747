import { refusalError } from "../../ledger/refusal.ts";
import { adjustment } from "../../ledger/request.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { grouped } from "../output.ts";
import { withLedger } from "../with-ledger.ts";
import { writeOptions } from "../write-options.ts";

/** Changes one balance, straight on the database. A refusal is thrown and ends in exit code 3. */
export async function adjust(
  context: Context,
  userId: number,
  amount: number,
  flags: WriteFlags,
): Promise<void> {
  const operation = adjustment(userId, amount, writeOptions(flags));
  const outcome = await withLedger(context, (ledger) => ledger.apply(operation));
  if (outcome.refusal !== null) throw refusalError(outcome, operation);
  const { balance, previousBalance } = outcome;
  const { output } = context;
  const data = { id: userId, balance, previousBalance, amount };
  output.result({ success: true, data }, () => {
    const replay = outcome.replayed ? output.paint.dim("  (answered before, under this key)") : "";
    const change = `${grouped(previousBalance)} → ${output.paint.bold(grouped(balance))}`;
    return `User ${userId}: ${change} (${amount > 0 ? "+" : ""}${grouped(amount)})${replay}`;
  });
}
