/** What the database function says of the hold that a capture or void found or left, beside the outcome. */
import { describe, expect, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";

const { applyFully, client } = await openFunction(await createTestDatabase());

/** A second each; the milliseconds show that none are lost. */
const at = (second: number) => ({ now: new Date(Date.UTC(2030, 0, 1, 0, 0, second, 7)) });
const ms = (second: number) => at(second).now.getTime();

let users = 1_000;
let holds = 0;

/** A user with 100 and a hold of 40 of it, made at second 1. */
async function openHold(lifetime?: number): Promise<{ user: number; id: string }> {
  users += 1;
  holds += 1;
  const [user, id] = [users, uuid(holds)];
  await applyFully([{ user, kind: "opening", amount: 100 }], at(0));
  const hold: Step = { user, kind: "hold", amount: 40, id };
  await applyFully([lifetime === undefined ? hold : { ...hold, lifetime }], at(1));
  return { user, id };
}

/** Refusals and holds; the latter as they are answered, whatever was asked. */
async function applied(steps: Step[], second: number) {
  return (await applyFully(steps, at(second))).map(({ refusal, hold }) => [refusal, hold]);
}

describe("what a capture or a void leaves", () => {
  test("a capture of a part", async () => {
    const { user, id } = await openHold(60);
    const left = {
      state: "captured",
      captured: 30,
      createdAt: ms(1),
      expiresAt: ms(61),
      closedAt: ms(2),
    };
    expect(await applied([{ user, kind: "capture", amount: 30, id }], 2)).toEqual([[null, left]]);
  });

  test("a void, of a hold that never expires", async () => {
    const { user, id } = await openHold();
    const left = {
      state: "voided",
      captured: null,
      createdAt: ms(1),
      expiresAt: null,
      closedAt: ms(3),
    };
    expect(await applied([{ user, kind: "void", id }], 3)).toEqual([[null, left]]);
  });

  test("each sits at its operation's place, between others that have none", async () => {
    const [one, two] = [await openHold(), await openHold()];
    const decided = await applied(
      [
        { user: one.user, amount: 1 },
        { user: one.user, kind: "void", id: one.id },
        { user: one.user, kind: "hold", amount: 5, id: uuid(99_999) },
        { user: two.user, kind: "capture", id: two.id, to: one.user },
        { user: two.user, amount: -1 },
      ],
      4,
    );
    expect(
      decided.map(([refusal, hold]) => [refusal, hold && (hold as { state: string }).state]),
    ).toEqual([
      [null, null],
      [null, "voided"],
      [null, null],
      [null, "captured"],
      [null, null],
    ]);
  });
});

describe("what a refusal found", () => {
  test("one that is closed, by this batch, an earlier one or its time", async () => {
    const [one, two] = [await openHold(), await openHold(10)];
    const { user, id } = one;
    const left = {
      state: "captured",
      captured: 40,
      createdAt: ms(1),
      expiresAt: null,
      closedAt: ms(2),
    };
    expect(
      await applied(
        [
          { user, kind: "capture", id },
          { user, kind: "void", id },
        ],
        2,
      ),
    ).toEqual([
      [null, left],
      ["HOLD_CLOSED", left],
    ]);
    expect(await applied([{ user, kind: "capture", amount: 1, id }], 5)).toEqual([
      ["HOLD_CLOSED", left],
    ]);
    expect(await applied([{ user: two.user, kind: "capture", id: two.id }], 12)).toEqual([
      [
        "HOLD_CLOSED",
        { state: "expired", captured: null, createdAt: ms(1), expiresAt: ms(11), closedAt: ms(11) },
      ],
    ]);
  });

  test("nothing of one that stays open or is not there", async () => {
    const [{ user, id }, other] = [await openHold(), await openHold()];
    const left = {
      state: "voided",
      captured: null,
      createdAt: ms(1),
      expiresAt: null,
      closedAt: ms(2),
    };
    expect(
      await applied(
        [
          { user: other.user, kind: "void", id: other.id },
          { user, kind: "capture", amount: 41, id },
          { user, kind: "capture", amount: 40, id, minBalance: 61 },
          { user, kind: "void", id: uuid(88_888) },
          { user: 999_999, kind: "void", id },
        ],
        2,
      ),
    ).toEqual([
      [null, left],
      ["CAPTURE_EXCEEDS_HOLD", null],
      ["INSUFFICIENT_FUNDS", null],
      ["HOLD_NOT_FOUND", null],
      ["USER_NOT_FOUND", null],
    ]);
  });
});

describe("what a replay finds", () => {
  test("the hold as it was closed, also where it was refused as closed", async () => {
    const { user, id } = await openHold(60);
    const left = {
      state: "captured",
      captured: 30,
      createdAt: ms(1),
      expiresAt: ms(61),
      closedAt: ms(2),
    };
    const capture: Step = { user, kind: "capture", amount: 30, id, key: "capture" };
    const closed: Step = { user, kind: "void", id, key: "void" };
    const [answered] = await applied([capture], 2);
    expect(answered).toEqual([null, left]);
    expect(await applied([closed], 3)).toEqual([["HOLD_CLOSED", left]]);
    // Others have no id to look up, and keep their own answers.
    const other: Step = { user, amount: 1, key: "other" };
    for (const second of [4, 5]) {
      expect(await applied([other, closed, capture], second)).toEqual([
        [null, null],
        ["HOLD_CLOSED", left],
        [null, left],
      ]);
    }
    expect(await applied([{ ...capture, fingerprint: "another" }], 6)).toEqual([
      ["IDEMPOTENCY_KEY_REUSED", null],
    ]);
  });

  test("nothing where it was refused for another reason, also when the hold is closed by now", async () => {
    const { user, id } = await openHold();
    const capture: Step = { user, kind: "capture", amount: 41, id, key: "too much" };
    expect(await applied([capture], 2)).toEqual([["CAPTURE_EXCEEDS_HOLD", null]]);
    await applied([{ user, kind: "void", id }], 3);
    expect(await applied([capture], 4)).toEqual([["CAPTURE_EXCEEDS_HOLD", null]]);
  });
});

test("a batch without a capture or void answers no holds at all", async () => {
  const { user } = await openHold();
  const { rows } = await client.query(
    "SELECT holds FROM apply_operations(ARRAY[$1::bigint], '{1,1}', '{1,2}', '{NULL,hold}', NULL, ARRAY[NULL, $2::uuid])",
    [user, uuid(77_777)],
  );
  expect(rows).toEqual([{ holds: null }]);
});
