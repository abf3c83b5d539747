import { BalancectlError } from "../../errors.ts";
import { runWorker } from "../../service/worker.ts";
import type { Context } from "../context.ts";

/** Serves as one of several processes. @throws BalancectlError INVALID_REQUEST without a main process */
export async function worker({ parent, stopping }: Context): Promise<void> {
  if (parent === undefined) {
    throw new BalancectlError(
      "INVALID_REQUEST",
      "worker is what `balancectl serve --workers` starts; by itself it has nothing to do",
    );
  }
  await runWorker(parent, stopping);
}
