/** The same request under the same key, many times at once: driven by hand, and on PostgreSQL. */
import { expect, test, vi } from "vitest";
import { translateError } from "../../src/database/translate-error.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { createTestDatabase, openTestLedger, psql } from "../support/database/database.ts";
import {
  change,
  databaseError,
  driven,
  keyed,
  refusedOutcome,
  states,
} from "../support/driven-commit.ts";

vi.setConfig({ testTimeout: 20_000 });

test("they wait for the first, and are answered it as replays; bystanders leave", async () => {
  const { submit, batch, unseen, drained } = driven();
  const answers = [1, 2, 3].map(() => submit(keyed(1, 5, "a")));
  const other = submit(keyed(1, 6, "a"));
  const bystander = submit(change(1, 7));
  const first = await batch();
  expect(first.asked).toEqual(["1:5", "1:7"]);
  answers.push(submit(keyed(1, 5, "a")));
  first.commit();
  const outcomes = await Promise.all(answers);
  expect(outcomes.map(({ balance, replayed }) => [balance, replayed])).toEqual([
    [5, false],
    [5, true],
    [5, true],
    [5, true],
  ]);
  // Another request under the key is for the database.
  const second = await batch();
  expect(second.asked).toEqual(["1:6"]);
  second.commit();
  await Promise.all([other, bystander, drained()]);
  expect(await unseen()).toBe(0);
  // The first is no longer on its way.
  void submit(keyed(1, 5, "a"));
  expect((await batch()).asked).toEqual(["1:5"]);
});

test.each([
  ["nothing was changed", databaseError("57014"), "DATABASE_UNAVAILABLE"],
  ["nobody knows", translateError(new Error("terminated"), true), "OUTCOME_UNKNOWN"],
])("when the first failed, and %s, the next goes, and it alone", async (_what, error, code) => {
  const { submit, batch, drained } = driven();
  const answers = [1, 2, 3].map(() => submit(keyed(1, 5, "a")));
  const seen = states(answers);
  let isDrained = false;
  const end = drained().then(() => {
    isDrained = true;
  });
  (await batch()).fail(error);
  const second = await batch();
  expect(second.asked).toEqual(["1:5"]);
  expect(isDrained).toBe(false);
  second.commit();
  expect(await seen).toEqual([code, "balance 5", "balance 5"]);
  await end;
});

test("those that have waited too long fail as the first did", async () => {
  const { submit, batch, unseen } = driven({ leaveWithinMs: 60_000 });
  const answers = states([1, 2, 3].map(() => submit(keyed(1, 5, "a"))));
  const first = await batch();
  const late = performance.now() + 60_000;
  const clock = vi.spyOn(performance, "now").mockReturnValue(late);
  first.fail(databaseError("57014"));
  expect(await answers).toEqual(new Array(3).fill("DATABASE_UNAVAILABLE"));
  clock.mockRestore();
  expect(await unseen()).toBe(0);
});

test("a refusal that is not kept was decided for all; of openings, each has an id", async () => {
  const { submit, batch } = driven();
  const answers = [1, 2].map(() => submit(keyed(1, 5, "a")));
  (await batch()).answer([refusedOutcome("USER_NOT_FOUND")]);
  expect((await Promise.all(answers)).map(({ replayed }) => replayed)).toEqual([false, false]);
  const opening = { kind: "opening", idempotency: { key: "o", fingerprint: "[9]" } };
  const opened = [2, 3].map((id) => submit(change(id, 9, opening)));
  (await batch()).answer([refusedOutcome("USER_EXISTS")]);
  const second = await batch();
  expect(second.asked).toEqual(["3:9"]);
  second.commit();
  expect((await Promise.all(opened)).map(({ refusal }) => refusal)).toEqual(["USER_EXISTS", null]);
});

test("they take room", async () => {
  const { submit, batch } = driven({ waitingMax: 2 });
  const answers = states([1, 2, 3].map(() => submit(keyed(1, 5, "a"))));
  const other = states([submit(change(2, 1))]);
  (await batch()).commit();
  expect(await answers).toEqual(["balance 5", "balance 5", "OVERLOADED"]);
  expect(await other).toEqual(["OVERLOADED"]);
});

test("16,000 at once: one change, one batch", async () => {
  const url = await createTestDatabase();
  const batches: number[] = [];
  const { ledger } = openTestLedger(url, {
    waitingMax: 16_000,
    observers: [{ batchCommitted: ({ operations }) => batches.push(operations) }],
  });
  const outcomes = await Promise.all(
    Array.from({ length: 16_000 }, () => ledger.apply(adjustment(1, -2, { idempotencyKey: "k" }))),
  );
  expect(batches).toEqual([1]);
  expect(outcomes.filter(({ replayed }) => !replayed).length).toBe(1);
  expect(new Set(outcomes.map(({ balance, version }) => `${balance} ${version}`))).toEqual(
    new Set(["9998 2"]),
  );
  const again = await ledger.apply(adjustment(1, -2, { idempotencyKey: "k" }));
  expect(again).toEqual(outcomes[1]);
  expect(await psql(url, "SELECT balance FROM users WHERE id = 1")).toEqual([{ balance: "9998" }]);
});
