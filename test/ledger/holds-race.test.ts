/** Holds under fire, through two server processes: taken as far as the money goes, ended once. */
import { expect, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { patient } from "../support/database/locked-user.ts";
import { count, openApiLoad } from "../support/http/load.ts";
import { account, journalFindings } from "../support/oracle/journal.ts";
import { moneyOf } from "../support/oracle/money.ts";
import { startServer } from "../support/server/program.ts";

const databaseUrl = await createTestDatabase();
const env = { DATABASE_URL: databaseUrl, ...patient };
const servers = [await startServer(env), await startServer(env)];
const load = openApiLoad(
  servers.map(({ url }) => url),
  1_000,
);
afterFile(load.close);

test("10,000 holds of 2 on 10,000, then each is captured and voided at the same time", async () => {
  const asked = Array.from({ length: 10_000 }, () => {
    return { path: "/api/users/1/holds", body: { amount: 2 } };
  });
  const answers = await load.all<{ id: string; balance: number }>(asked);
  expect(count(answers.map(({ outcome }) => outcome))).toEqual({
    "201": 5_000,
    "422 INSUFFICIENT_FUNDS": 5_000,
  });
  const holds = answers.flatMap(({ data }) => data?.id ?? []);
  expect(new Set(holds).size).toBe(5_000);
  expect(await account(databaseUrl)).toEqual({ balance: 0, entries: 5_001 });
  expect(await moneyOf(databaseUrl)).toEqual({ balances: 0, held: 10_000, capturedOutside: 0 });

  // The two for one hold are neighbours and go to different servers; which one goes first changes.
  const ends = holds.flatMap((id, index) => {
    const both = ["capture", "void"].map((end) => ({ path: `/api/users/1/holds/${id}/${end}` }));
    return index % 2 === 0 ? both : both.reverse();
  });
  const ended = await load.all<{ state: string; balance: number }>(ends);
  expect(count(ended.map(({ outcome }) => outcome))).toEqual({
    "200": 5_000,
    "409 HOLD_CLOSED": 5_000,
  });
  const winners = holds.map((_, index) => {
    const pair = ended.slice(index * 2, index * 2 + 2).flatMap(({ data }) => data?.state ?? []);
    expect(pair).toHaveLength(1);
    return pair[0] as string;
  });
  const states = await psql(databaseUrl, "SELECT id, state FROM holds");
  expect(Object.fromEntries(states.map(({ id, state }) => [id, state]))).toEqual(
    Object.fromEntries(holds.map((id, index) => [id, winners[index]])),
  );
  // Both won at times, so it was a race.
  const { captured = 0, voided = 0 } = count(winners);
  expect(Math.min(captured, voided)).toBeGreaterThan(0);
  expect(await moneyOf(databaseUrl)).toEqual({
    ...{ balances: voided * 2, held: 0, capturedOutside: captured * 2 },
  });
  expect(await account(databaseUrl)).toEqual({
    balance: voided * 2,
    entries: 5_001 + captured * 2 + voided,
  });
  expect(await journalFindings(databaseUrl)).toEqual([]);
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
  expect(servers.map((server) => server.stderr())).toEqual(["", ""]);
});
