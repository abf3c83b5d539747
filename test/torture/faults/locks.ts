/** Somebody else works in the same tables. */
import { users } from "../client/questions.ts";
import { connect, pause } from "../stage/connection.ts";
import { either, type Fault } from "./fault.ts";

export const lockFaults: readonly Fault[] = [
  {
    name: "stranger-lock",
    inject: async (stage) => {
      const { cluster, database, undo } = stage;
      const client = await connect(cluster.adminUrl(database));
      undo.push(() => client.end());
      await client.query("BEGIN");
      await client.query("SELECT FROM users WHERE id = $1 FOR UPDATE", [either(stage, users)]);
    },
    lasts: [100, 3_000],
  },
  {
    // Against the order in which the servers lock: the higher id first, the lower one while it is waited for.
    name: "stranger-deadlock",
    inject: async (stage) => {
      const { cluster, database, undo, dice } = stage;
      const client = await connect(cluster.adminUrl(database));
      undo.push(() => client.end());
      const lock = (id: number) => client.query("SELECT FROM users WHERE id = $1 FOR UPDATE", [id]);
      for (let times = 0; times < 6; times += 1) {
        const lower = either(stage, users.slice(0, -1));
        const higher = either(
          stage,
          users.filter((id) => id > lower),
        );
        await client.query("BEGIN");
        await lock(higher);
        await pause(dice.below(200));
        // Whoever of the two is the victim: either is what is wanted.
        await lock(lower).catch(() => {});
        await client.query("ROLLBACK");
      }
    },
  },
];
