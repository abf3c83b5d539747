import { withAccounts } from "../accounts/with-accounts.ts";
import type { WriteFlags } from "../commands/write-flags.ts";
import type { Context } from "../context.ts";
import { grouped } from "../output.ts";
import { writeOptions } from "../write-options.ts";

/** Changes one balance. A refusal is thrown and ends in exit code 3. */
export async function adjust(
  context: Context,
  userId: number,
  amount: number,
  flags: WriteFlags,
): Promise<void> {
  const options = writeOptions(flags);
  const { data, replayed } = await withAccounts(context, flags, (accounts) =>
    accounts.adjust(userId, amount, options),
  );
  const { balance, previousBalance } = data;
  const { output } = context;
  output.result({ success: true, data }, () => {
    const replay = replayed ? output.paint.dim("  (answered before, under this key)") : "";
    const change = `${grouped(previousBalance)} → ${output.paint.bold(grouped(balance))}`;
    return `User ${userId}: ${change} (${amount > 0 ? "+" : ""}${grouped(amount)})${replay}`;
  });
}
