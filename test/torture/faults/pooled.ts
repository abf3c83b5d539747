/** Between servers and PostgreSQL there is a PgBouncer, and one of the two goes. */
import { createPgBouncer, findPgBouncer } from "../stage/pgbouncer.ts";
import type { Fault } from "./fault.ts";
import { toBackends } from "./postgres.ts";

export const pooledFaults: readonly Fault[] = (["session", "transaction"] as const).map((mode) => {
  let pooler: Awaited<ReturnType<typeof createPgBouncer>> | undefined;
  return {
    name: `pgbouncer-${mode}`,
    impossible: async () => (findPgBouncer() ? undefined : "pgbouncer is not installed"),
    front: async ({ cluster, undo }) => {
      const started = await createPgBouncer(cluster, mode);
      undo.push(() => started.end("SIGKILL"));
      await started.start();
      pooler = started;
      return started.port;
    },
    // It keeps connections of its own.
    settle: async () => await pooler?.end("SIGKILL"),
    inject: async (stage) => {
      if (stage.dice.below(2) === 0) {
        await toBackends(stage, 5, "terminate");
      } else {
        await pooler?.end("SIGKILL");
        stage.undo.push(async () => await pooler?.start());
      }
    },
  } satisfies Fault;
});
