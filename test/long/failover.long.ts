/**
 * The primary is killed in the middle of the load and its standby promoted; `serve` names both and is not
 * restarted. Asynchronous replication is there to be counted: what it loses is what the documents say.
 */
import { expect, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { psql } from "../support/database/database.ts";
import { startReplicated } from "../support/database/replicated.ts";
import { send } from "../support/http/client.ts";
import { startServer } from "../support/server/program.ts";

const clients = 32;
/** Of the load before the kill, and again after the promotion. */
const answersEach = 2_000;

interface Reply {
  readonly key: string;
  readonly status: number;
  readonly atMs: number;
}

/** Each client changes user 1 by 1 under a key of its own, and goes on to another whatever the answer was. */
function startLoad(url: string) {
  const replies: Reply[] = [];
  let isOver = false;
  let asked = 0;
  const client = async () => {
    while (!isOver) {
      const key = `change-${asked++}`;
      const { status } = await send(
        url,
        "PUT",
        { amount: 1 },
        { "Idempotency-Key": key, Connection: "keep-alive" },
      ).catch(() => ({ status: 0 }));
      replies.push({ key, status, atMs: performance.now() });
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  const answered = () => replies.filter(({ status }) => status === 200);
  return {
    replies,
    answered,
    untilAnswered: async (count: number) => {
      while (answered().length < count) await new Promise((resolve) => setImmediate(resolve));
    },
    end: async () => {
      isOver = true;
      await all;
    },
  };
}

test.each([
  ["synchronous", { synchronous: true, lineIsCut: false }],
  [
    "synchronous, the standby's line cut half a second before",
    { synchronous: true, lineIsCut: true },
  ],
  [
    "asynchronous, the standby's line cut half a second before",
    { synchronous: false, lineIsCut: true },
  ],
])("%s", async (what, { synchronous, lineIsCut }) => {
  const pair = await startReplicated({ synchronous });
  const server = await startServer({ DATABASE_URL: pair.url, LOG_LEVEL: "fatal" });
  const load = startLoad(`${server.url}/api/users/1/balance`);
  await load.untilAnswered(answersEach);
  if (lineIsCut) {
    await psql(pair.standby.url, "ALTER SYSTEM SET primary_conninfo = ''");
    await psql(pair.standby.url, "SELECT pg_reload_conf()");
    while ((await psql(pair.standby.url, "SELECT FROM pg_stat_wal_receiver")).length > 0);
    await psql(pair.primary.url, "SELECT pg_sleep(0.5)");
  }
  await pair.primary.kill();
  const killedMs = performance.now();
  await pair.promote();
  const promotedMs = performance.now();
  const before = load.answered().length;
  await load.untilAnswered(before + answersEach);
  await load.end();

  const rows = await psql<{ key: string }>(
    pair.standby.url,
    "SELECT key FROM idempotency_keys WHERE user_id = 1",
  );
  const kept = new Set(rows.map(({ key }) => key));
  const answered = load.answered();
  const lost = answered.filter(({ key }) => !kept.has(key));
  const first = answered.find(({ atMs }) => atMs > promotedMs)?.atMs ?? Number.NaN;
  const others = load.replies.filter(({ status }) => status !== 200);
  const statuses = Object.fromEntries(
    [...new Set(others.map(({ status }) => status))].map((status) => [
      status,
      others.filter((reply) => reply.status === status).length,
    ]),
  );
  process.stdout.write(
    `${what}: ${answered.length} answered, ${lost.length} of them lost, others ${JSON.stringify(statuses)}, ` +
      `first success ${Math.round(first - promotedMs)} ms after the promotion, ` +
      `${Math.round(first - killedMs)} ms after the kill\n`,
  );
  if (synchronous) expect(lost).toEqual([]);
  // It is under 3 s where nothing else runs.
  expect(first - promotedMs).toBeLessThan(10_000);
  expect(server.child.exitCode).toBe(null);
  // Nothing was made that has no key, and the journal adds up.
  const [user] = await psql(pair.standby.url, "SELECT balance FROM users WHERE id = 1");
  expect(user).toEqual({ balance: String(10_000 + kept.size) });
  expect((await verify(pair.url)).findings).toEqual([]);
  expect(await server.stop()).toBe(0);
});
