/** PostgreSQL is told to refuse, to wait, or to do otherwise than is usual. */
import { appRole } from "../stage/cluster.ts";
import { connect, pause } from "../stage/connection.ts";
import type { Fault, Stage } from "./fault.ts";

/** For all sessions, those that are open included, where their connections do not say otherwise. */
async function set({ cluster, undo }: Stage, name: string, value: string): Promise<void> {
  await cluster.admin(`ALTER SYSTEM SET ${name} = '${value}'`);
  await cluster.admin("SELECT pg_reload_conf()");
  undo.push(async () => {
    await cluster.admin(`ALTER SYSTEM RESET ${name}`);
    await cluster.admin("SELECT pg_reload_conf()");
  });
}

export const settingFaults: readonly Fault[] = [
  {
    name: "read-only",
    inject: (stage) => set(stage, "default_transaction_read_only", "on"),
  },
  {
    name: "idle-session-timeout",
    inject: (stage) => set(stage, "idle_session_timeout", "20ms"),
  },
  {
    // Sessions that do not choose for themselves run into 40001.
    name: "isolation",
    inject: (stage) => set(stage, "default_transaction_isolation", "serializable"),
  },
  {
    // What waits for a table waits longer than any statement may take.
    name: "statement-timeout",
    env: { BALANCECTL_STATEMENT_TIMEOUT_MS: "150" },
    inject: async ({ cluster, database, undo }) => {
      const client = await connect(cluster.adminUrl(database));
      undo.push(() => client.end());
      await client.query("BEGIN");
      await client.query("LOCK TABLE entries IN SHARE ROW EXCLUSIVE MODE");
    },
  },
  {
    // Nobody answers to the name, so that each commit waits; some of the waits are cancelled.
    name: "sync-hung",
    inject: async (stage) => {
      const { cluster, dice } = stage;
      await set(stage, "synchronous_standby_names", "nobody");
      for (let times = 0; times < 5; times += 1) {
        await pause(100 + dice.below(200));
        const how = dice.below(2) === 0 ? "cancel" : "terminate";
        await cluster.admin(
          `SELECT pg_${how}_backend(pid) FROM pg_stat_activity
            WHERE wait_event = 'SyncRep' AND random() < 0.5`,
        );
      }
    },
  },
  {
    // All slots are somebody else's, and the servers lose theirs.
    name: "max-connections",
    inject: async ({ cluster, database, undo }) => {
      const taken: Awaited<ReturnType<typeof connect>>[] = [];
      undo.push(() => Promise.all(taken.map((client) => client.end())));
      await cluster.admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
      );
      for (let full = false; !full; ) {
        const url = cluster.appUrl("postgres");
        await connect(url).then(
          (client) => taken.push(client),
          (error: { code?: string }) => {
            full = error.code === "53300";
          },
        );
      }
      await cluster.admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = '${database}' AND usename = '${appRole}'`,
      );
    },
  },
];
