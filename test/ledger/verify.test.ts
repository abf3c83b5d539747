/** Corruptions planted past the guards: each is found, and named by user, version and check. */
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { adjustment, hold, transfer, voidHold } from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import {
  betweenCorruptions,
  chainCorruptions,
  clockCorruptions,
  holdsCorruptions,
  keysCorruptions,
  usersCorruptions,
} from "../support/oracle/corruptions.ts";
import {
  cloneDatabase,
  createHealthyLedger,
  createSandbox,
  healthy,
  tamper,
} from "../support/oracle/healthy-ledger.ts";

const healthyUrl = await createHealthyLedger();
const sandbox = await createSandbox(healthyUrl);

test("a ledger with every kind of operation in it is in order", async () => {
  const url = await cloneDatabase(healthyUrl);
  const kinds = await psql(url, "SELECT DISTINCT kind FROM entries ORDER BY kind");
  expect(kinds.map(({ kind }) => kind)).toEqual([
    ...["adjustment", "capture", "expiry", "hold", "opening", "release", "transfer", "void"],
  ]);
  expect(await verify(url)).toEqual({ ok: true, ...healthy, findings: [] });
  expect(await verify(url, { userId: 15 })).toEqual({
    ok: true,
    users: 1,
    entries: 13,
    findings: [],
  });
  expect(await verify(url, { userId: 12 })).toEqual({
    ok: true,
    users: 1,
    entries: 0,
    findings: [],
  });
  expect(await verify(url, { userId: 99 })).toEqual({
    ok: true,
    users: 0,
    entries: 0,
    findings: [],
  });
});

describe.each([
  ["the journal", chainCorruptions],
  ["users", usersCorruptions],
  ["holds", holdsCorruptions],
  ["transfers and payments", betweenCorruptions],
  ["idempotency keys", keysCorruptions],
  ["times", clockCorruptions],
])("%s", (_name, corruptions) => {
  test.each(corruptions)("$what", async ({ sql, findings, users: more = 0, entries = 0 }) => {
    onTestFinished(sandbox.restore);
    const { url } = sandbox;
    await sandbox.tamper(sql);
    expect(await verify(url)).toEqual({
      ok: false,
      users: healthy.users + more,
      entries: healthy.entries + entries,
      findings,
    });
    // Asked about that user alone it says the same, and about another one nothing.
    const [first] = findings;
    if (first?.userId && ["chain", "balance", "held", "hold"].includes(first.check)) {
      const alone = await verify(url, { userId: first.userId });
      expect(alone.findings.filter(({ userId }) => userId !== null)).toEqual([first]);
      const other = await verify(url, { userId: 13 });
      expect(other.findings.filter(({ userId }) => userId !== null)).toEqual([]);
    }
  });
});

test("several users at once: one finding each, in the order of the checks", async () => {
  const url = await cloneDatabase(healthyUrl);
  await tamper(
    url,
    `UPDATE entries SET amount = 1 WHERE user_id = 11;
     UPDATE users SET balance = 1 WHERE id = 12;
     UPDATE entries SET balance = 0 WHERE user_id = 14;
     UPDATE users SET balance = 1, held = 1 WHERE id = 16`,
  );
  const { findings } = await verify(url);
  expect(findings.map(({ userId, version, check }) => [userId, version, check])).toEqual([
    [11, 1, "chain"],
    [14, 1, "chain"],
    [12, 0, "balance"],
    [16, 2, "balance"],
  ]);
});

describe("guards", () => {
  test("each trigger and each constraint of the tables is missed when it is gone", async () => {
    const url = await cloneDatabase(healthyUrl);
    const guards = await psql<{ kind: string; name: string; table: string; definition: string }>(
      url,
      `SELECT 'constraint' AS kind, conname AS name, conrelid::regclass::text AS table,
              format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
                     pg_get_constraintdef(oid)) AS definition
         FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('n', 't')
          AND conrelid <> 'schema_migrations'::regclass
        UNION ALL
       SELECT 'trigger', tgname, tgrelid::regclass::text, pg_get_triggerdef(oid)
         FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1, 2`,
    );
    expect(guards.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["entries_append_only", "users_balance_range", "holds_pkey"]),
    );
    const missed: string[] = [];
    for (const { kind, name, table, definition } of guards) {
      const drop = kind === "trigger" ? `DROP TRIGGER ${name} ON ${table}` : "";
      await psql(url, drop || `ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
      const { findings } = await verify(url, { userId: 12 });
      await psql(url, definition);
      const finding = { userId: null, version: null, check: "guard", found: "missing" };
      const expected = { ...finding, expected: `${kind} ${name}` };
      if (JSON.stringify(sortedKeys(findings)) !== JSON.stringify(sortedKeys([expected]))) {
        missed.push(name);
      }
    }
    expect(missed).toEqual([]);
  });

  test("one that is there but sleeps counts as gone", async () => {
    const url = await cloneDatabase(healthyUrl);
    await psql(url, "ALTER TABLE users DISABLE TRIGGER users_balance_has_entry_on_update");
    await psql(url, "ALTER TABLE entries ENABLE REPLICA TRIGGER entries_append_only");
    await psql(url, "ALTER TABLE users DROP CONSTRAINT users_balance_range");
    await psql(
      url,
      "ALTER TABLE users ADD CONSTRAINT users_balance_range CHECK (balance >= 0) NOT VALID",
    );
    const { ok, findings } = await verify(url);
    expect(ok).toBe(false);
    expect(findings.map(({ check, expected, found }) => [check, expected, found])).toEqual([
      ["guard", "trigger entries_append_only", "disabled or not valid"],
      ["guard", "trigger users_balance_has_entry_on_update", "disabled or not valid"],
      ["guard", "constraint users_balance_range", "disabled or not valid"],
    ]);
  });
});

test("a guard that calls another function guards nothing", async () => {
  const url = await cloneDatabase(healthyUrl);
  await psql(
    url,
    `CREATE FUNCTION let_through() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     DROP TRIGGER users_balance_has_entry_on_update ON users;
     CREATE TRIGGER users_balance_has_entry_on_update AFTER UPDATE ON users
       REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION let_through()`,
  );
  const { findings } = await verify(url);
  expect(findings.map(({ check, expected, found }) => [check, expected, found])).toEqual([
    ["guard", "trigger users_balance_has_entry_on_update", "calls let_through()"],
  ]);
});

describe("while it runs", () => {
  test("it sees one moment, also while everything is being written", async () => {
    const url = await createTestDatabase();
    const { ledger } = openTestLedger(url);
    for (const id of [2, 3, 4, 5]) await ledger.openUser({ id, balance: 1_000 });
    let writing = true;
    let written = 0;
    const writer = async (userId: number) => {
      const to = (userId % 5) + 1;
      while (writing) {
        const held = await ledger.apply(hold(userId, 3, 60));
        await Promise.all([
          ledger.apply(transfer({ from: userId, to, amount: 2 })),
          ledger.apply(adjustment(userId, 1, { idempotencyKey: `${userId}-${written}` })),
          ledger.apply(voidHold(userId, held.operationId as string)),
        ]);
        written += 1;
      }
    };
    const writers = [1, 2, 3, 4, 5].map(writer);
    const seen: number[] = [];
    while (seen.length < 10 || written < 100) {
      const { ok, users, entries, findings } = await verify(url);
      expect({ ok, users, findings }).toEqual({ ok: true, users: 5, findings: [] });
      seen.push(entries);
    }
    writing = false;
    await Promise.all(writers);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(await verify(url)).toMatchObject({ ok: true, users: 5 });
  });

  test("it tells how far it is, up to the end", async () => {
    const url = await cloneDatabase(healthyUrl);
    const told: [number, number][] = [];
    await verify(url, { onProgress: (done, total) => told.push([done, total]) });
    expect(told.at(-1)).toEqual([healthy.entries, healthy.entries]);
    expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).sort((a, b) => a - b));
  });

  test("it stops when it is asked to, with the reason given", async () => {
    const url = await cloneDatabase(healthyUrl);
    const asked = new AbortController();
    const reason = new Error("enough");
    const stopped = once(asked.signal, "abort");
    const running = verify(url, {
      signal: asked.signal,
      onProgress: () => asked.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
    await stopped;
  });

  test("it changes nothing, not even where the database would let it", async () => {
    const url = await cloneDatabase(healthyUrl);
    await psql(
      url,
      `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET default_transaction_read_only = on`,
    );
    expect(await verify(url)).toEqual({ ok: true, ...healthy, findings: [] });
  });
});

function sortedKeys(rows: readonly object[]): unknown {
  return rows.map((row) => Object.entries(row).sort());
}
