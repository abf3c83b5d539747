/** PostgreSQL itself is killed, restarted, stopped, or ends what it is at. */
import { appRole } from "../stage/cluster.ts";
import { pause } from "../stage/connection.ts";
import { either, type Fault, type Stage } from "./fault.ts";

interface Backend extends Record<string, unknown> {
  readonly pid: number;
}

/** The servers' own. @param busy only those in the middle of something */
async function backendsOf({ cluster, database }: Stage, busy: boolean): Promise<number[]> {
  const rows = (await cluster.admin(
    `SELECT pid FROM pg_stat_activity
      WHERE datname = '${database}' AND usename = '${appRole}'
        ${busy ? "AND state = 'active'" : ""}`,
  )) as Backend[];
  return rows.map(({ pid }) => pid);
}

/** So often, as fast as it goes. */
export async function toBackends(stage: Stage, times: number, what: "cancel" | "terminate") {
  for (let done = 0; done < times; done += 1) {
    const pids = await backendsOf(stage, what === "cancel");
    if (pids.length === 0) continue;
    await stage.cluster.admin(`SELECT pg_${what}_backend(${either(stage, pids)})`);
  }
}

export const postgresFaults: readonly Fault[] = [
  {
    name: "backend-cancel",
    inject: (stage) => toBackends(stage, 30, "cancel"),
  },
  {
    name: "backend-terminate",
    inject: (stage) => toBackends(stage, 10, "terminate"),
  },
  {
    // PostgreSQL ends all others and recovers.
    name: "backend-kill",
    inject: async (stage) => {
      const pids = await backendsOf(stage, false);
      stage.cluster.signal(pids.length > 0 ? [either(stage, pids)] : [], "SIGKILL");
    },
    heal: ({ cluster }) => cluster.answers(),
  },
  {
    name: "pg-restart",
    inject: ({ cluster, dice }) => cluster.stop(dice.below(2) === 0 ? "SIGINT" : "SIGQUIT"),
    heal: ({ cluster }) => cluster.start(),
  },
  {
    // Its backends go on until they miss it.
    name: "pg-kill",
    inject: async ({ cluster }) => {
      const [postmaster] = await cluster.processes();
      cluster.signal(postmaster === undefined ? [] : [postmaster], "SIGKILL");
      await cluster.ended();
    },
    heal: ({ cluster }) => cluster.start(),
  },
  {
    name: "pg-kill-all",
    inject: async ({ cluster }) => {
      cluster.signal(await cluster.processes(), "SIGKILL");
      await cluster.ended();
    },
    heal: ({ cluster }) => cluster.start(),
  },
  {
    // Alive, and not a word: shorter and longer than what servers wait for.
    name: "pg-stop",
    slow: true,
    inject: async ({ cluster, undo }) => {
      const pids = await cluster.processes();
      cluster.signal(pids, "SIGSTOP");
      undo.push(async () => cluster.signal([...pids].reverse(), "SIGCONT"));
    },
    lasts: [1_000, 14_000],
  },
  {
    // Each commit waits for a standby, which takes over; the servers find it where the primary was.
    name: "failover-sync",
    slow: true,
    inject: async ({ cluster, undo }) => {
      undo.push(() => cluster.dropStandby());
      await cluster.addStandby();
      await pause(1_000);
      cluster.signal(await cluster.processes(), "SIGKILL");
      await cluster.ended();
    },
    heal: ({ cluster }) => cluster.failOver(),
  },
];
