/** Two users who pay each other, both ways, 64 at a time for 20 s; and the same load on 32 pairs. */
import { expect, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { openFunction, type Step } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { runHotPair } from "../support/http/hot-pair.ts";
import { journalFindings } from "../support/oracle/journal.ts";
import { moneyOf } from "../support/oracle/money.ts";
import { startServer } from "../support/server/program.ts";

const databaseUrl = await createTestDatabase();
const { apply } = await openFunction(databaseUrl);
const servers = [
  await startServer({ DATABASE_URL: databaseUrl }),
  await startServer({ DATABASE_URL: databaseUrl }),
];
const urls = servers.map(({ url }) => url);

const users = Array.from({ length: 66 }, (_, index) => 100 + index);
await apply(users.map((user): Step => ({ user, kind: "opening", amount: 1_000_000 })));
const pairs = Array.from({ length: 33 }, (_, index) => {
  return [100 + index * 2, 101 + index * 2] as const;
});

const perSecond: Record<string, number> = {};

test.each([
  ["one hot pair", pairs.slice(0, 1)],
  ["32 pairs", pairs.slice(1)],
])("%s: no deadlock, no error, for 20 s", async (what, chosen) => {
  const result = await runHotPair(urls, chosen, 20_000);
  expect(result.outcomes).toEqual({ "201": result.made });
  perSecond[what] = result.perSecond;
  process.stdout.write(
    `${what}, 64 in flight, 2 servers: ${result.perSecond} transfers/s (${result.made} made)\n`,
  );
  expect(await moneyOf(databaseUrl)).toEqual({
    ...{ balances: 66_010_000, held: 0, capturedOutside: 0 },
  });
  expect(await journalFindings(databaseUrl)).toEqual([]);
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
  expect(servers.map((server) => server.stderr())).toEqual(["", ""]);
});
