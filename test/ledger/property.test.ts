/**
 * Random runs against the real API on a real database and against a model in memory: each answer is
 * the model's, to the letter; each table is the model's, to the row; and what is refused writes
 * nothing. A failure prints its seed: FC_SEED=<seed> repeats the run, FC_RUNS=<count> makes it longer.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { verify } from "../../src/ledger/verify.ts";
import { createClock } from "../support/clock.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";
import { exchange, withoutDetails } from "../support/http/client.ts";
import { badRequests } from "../support/oracle/bad-requests.ts";
import { tampering } from "../support/oracle/healthy-ledger.ts";
import { createModel, type Model } from "../support/oracle/ledger-model.ts";
import { expectedRead, readPath } from "../support/oracle/read-model.ts";
import { meantRead, meantWrite, repeated, type Step, step } from "../support/oracle/steps.ts";
import { comparableTables, modelTables } from "../support/oracle/tables-model.ts";
import {
  type ApiAnswer,
  type ApiRequest,
  expectedAnswer,
  type Write,
  writeRequest,
} from "../support/oracle/write-model.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const databaseUrl = await createTestDatabase();
const tables = await openTables(databaseUrl);
let clock = createClock();
const server = await serveInProcess(databaseUrl, { now: () => clock.now() });

const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["FC_RUNS"] ?? 60);

test(`answers and tables are the model's after every step (seed ${seed})`, async () => {
  await fc.assert(fc.asyncProperty(run, runsAsTheModel), {
    seed,
    numRuns,
    interruptAfterTimeLimit: 300_000,
  });
}, 400_000);

const balance = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 200 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: Number.MAX_SAFE_INTEGER - 20, max: Number.MAX_SAFE_INTEGER }),
  },
);
const run = fc.record({
  balances: fc.tuple(balance, balance, balance),
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
});

async function runsAsTheModel({ balances, steps }: { balances: number[]; steps: Step[] }) {
  await emptyTables();
  clock = createClock();
  const model = createModel();
  const sent: Write[] = [];
  for (const balance of balances) await write(model, { kind: "opening", body: { balance } });
  for (const one of steps) {
    // No two steps at the same moment, so that the oldest of the stored keys is one.
    clock.advance(0.001);
    const before = { writes: model.writes, fingerprint: await tables.fingerprint() };
    await take(model, one, sent);
    if (model.writes === before.writes) expect(await tables.fingerprint()).toBe(before.fingerprint);
    expect(comparableTables(await tables.rows())).toEqual(modelTables(model));
    expectSumsToHold(model);
  }
  const { ok, findings } = await verify(databaseUrl);
  expect({ ok, findings }).toEqual({ ok: true, findings: [] });
}

async function take(model: Model, one: Step, sent: Write[]): Promise<void> {
  switch (one.do) {
    case "wait":
      clock.advance(one.seconds);
      return;
    case "write":
      return await write(model, meantWrite(model, one.write), sent);
    case "replay": {
      const again = repeated(sent, one.pick, one.changed);
      if (again) await write(model, again, sent);
      return;
    }
    case "read": {
      const read = meantRead(model, one.read, clock.now().getTime());
      const answer = await ask({ method: "GET", path: readPath(read), headers: {} });
      expect(withoutUnmadeId(answer)).toEqual(expectedRead(model, read, clock.now().getTime()));
      return;
    }
    case "bad": {
      const bad = badRequests[one.pick % badRequests.length];
      if (bad) expect(await ask(bad.request)).toEqual(bad.answer);
    }
  }
}

async function write(model: Model, what: Write, sent: Write[] = []): Promise<void> {
  const answer = await ask(writeRequest(what));
  const givenId = newId(what, answer);
  expect(answer).toEqual(expectedAnswer(model, what, clock.now().getTime(), givenId));
  if (what.key !== undefined) sent.push(what);
}

/** The id that the answer gives to a new transfer or hold: the one thing that no model can know. */
function newId({ kind }: Write, { status, body }: ApiAnswer): string | undefined {
  if (status !== 201 || kind === "opening") return undefined;
  const { data } = body as { data: { id?: string; transfers?: { id: string }[] } };
  const id = data.id ?? data.transfers?.[0]?.id;
  expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{8}0000$/);
  return id;
}

async function ask({ method, path, headers, body }: ApiRequest): Promise<ApiAnswer> {
  const answer = await exchange(server.url, { method, path, headers, ...(body && { body }) });
  const etag = answer.headers.get("etag");
  const location = answer.headers.get("location");
  const replayed = answer.headers.get("idempotent-replayed");
  return {
    status: answer.status,
    // What else it says is in words and figures that other tests look at.
    body: withoutDetails(answer.body),
    ...(etag !== null && { etag }),
    ...(location !== null && { location }),
    ...(replayed !== null && { replayed }),
  };
}

/** A refused transfer or hold never came to be: the id that it would have had means nothing. */
function withoutUnmadeId(answer: ApiAnswer): ApiAnswer {
  const { data } = answer.body as { data?: Record<string, unknown> };
  if (data?.["outcome"] === undefined || data["outcome"] === "applied") return answer;
  const { transferId: _, ...rest } = data;
  if (data["kind"] === "hold") delete rest["holdId"];
  return { ...answer, body: { success: true, data: rest } };
}

function expectSumsToHold({ users, entries }: Model): void {
  for (const { id, balance } of users.values()) {
    const amounts = entries.filter(({ userId }) => userId === id).map(({ amount }) => amount);
    const sum = amounts.reduce((total, amount) => total + BigInt(amount), 0n);
    expect([id, BigInt(balance)]).toEqual([id, sum]);
    expect(balance).toBeGreaterThanOrEqual(0);
  }
}

async function emptyTables(): Promise<void> {
  const emptied = "TRUNCATE users, entries, holds, idempotency_keys RESTART IDENTITY";
  await tables.client.query(tampering(emptied));
}
