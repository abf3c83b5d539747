import { account } from "../../account.ts";
import type { PruneFlags } from "../commands/prune.ts";
import type { Context } from "../context.ts";
import { counted } from "../output.ts";
import { withLedger } from "../with-ledger.ts";

/** Removes idempotency keys that are past their time. */
export async function prune(context: Context, flags: PruneFlags): Promise<void> {
  const { output, stopping } = context;
  const days = flags.days ?? (await context.loadConfig()).idempotencyDays;
  const removed = await withLedger(context, async (ledger) => {
    const progress = output.progress("Removing old idempotency keys");
    const tell = (count: number) => progress.update(`Removed ${counted(count, "idempotency key")}`);
    try {
      return await ledger.pruneKeys(days, account(), tell, stopping);
    } finally {
      progress.end();
    }
  });
  output.result({ removed, days }, () => {
    return `Removed ${counted(removed, "idempotency key")} older than ${counted(days, "day")}`;
  });
}
