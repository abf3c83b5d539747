/** Every reason that the database function gives, and which one goes first. */
import { expect, test } from "vitest";
import { openFunction, type Step, uuid } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { openTables } from "../support/database/tables.ts";

const databaseUrl = await createTestDatabase();
const { fingerprint } = await openTables(databaseUrl);
const { apply } = await openFunction(databaseUrl);

/** 5 to spend and 5 on hold; nothing; all that a user can have; no such user. */
const [a, b, full, none] = [11, 12, 13, 14];
const [held, closed, unknown] = [uuid(1), uuid(2), uuid(3)];

await apply([
  { user: a, kind: "opening", amount: 13 },
  { user: b, kind: "opening", amount: 0 },
  { user: full, kind: "opening", amount: Number.MAX_SAFE_INTEGER },
  { user: a, kind: "hold", amount: 5, id: held },
  { user: a, kind: "hold", amount: 3, id: closed },
  { user: a, kind: "capture", id: closed },
]);

const transfer = (user: number, to: number, amount: number): Step => {
  return { kind: "transfer", user, to, amount, id: unknown };
};
const hold = (user: number, amount: number): Step => ({ kind: "hold", user, amount, id: unknown });
const capture = (user: number, id: string, amount?: number, to?: number): Step => {
  const step: Step = { kind: "capture", user, id, amount: amount ?? null };
  return to === undefined ? step : { ...step, to };
};
const release = (user: number, id: string): Step => ({ kind: "void", user, id });

const cases: readonly (readonly [reason: string, Step])[] = [
  ["USER_NOT_FOUND", { user: none, amount: 1 }],
  ["USER_NOT_FOUND", { user: none, amount: 1, ifVersion: 5, minBalance: 5 }],
  ["USER_NOT_FOUND", transfer(none, a, 1)],
  ["USER_NOT_FOUND", hold(none, 1)],
  ["USER_NOT_FOUND", capture(none, held)],
  ["USER_NOT_FOUND", release(none, held)],
  ["USER_NOT_FOUND", { user: none, kind: "touch" }],
  ["RECIPIENT_NOT_FOUND", transfer(a, none, 99)],
  ["RECIPIENT_NOT_FOUND", capture(a, held, 1, none)],
  ["USER_EXISTS", { user: a, kind: "opening", amount: 1 }],
  ["PRECONDITION_FAILED", { user: a, amount: -99, ifVersion: 1 }],
  ["PRECONDITION_FAILED", { user: a, amount: 1, ifVersion: 6 }],
  ["PRECONDITION_FAILED", { ...transfer(a, none, 99), ifVersion: 1 }],
  ["PRECONDITION_FAILED", { ...hold(a, 99), ifVersion: 9 }],
  ["PRECONDITION_FAILED", { ...capture(a, unknown), ifVersion: 0 }],
  ["PRECONDITION_FAILED", { ...release(a, unknown), ifVersion: 1 }],
  ["INSUFFICIENT_FUNDS", { user: a, amount: -6 }],
  ["INSUFFICIENT_FUNDS", { user: a, amount: -1, minBalance: 5 }],
  ["INSUFFICIENT_FUNDS", { user: a, amount: 1, minBalance: 7 }],
  ["INSUFFICIENT_FUNDS", transfer(a, b, 6)],
  ["INSUFFICIENT_FUNDS", transfer(a, full, 6)],
  ["INSUFFICIENT_FUNDS", { ...transfer(a, b, 2), minBalance: 4 }],
  ["INSUFFICIENT_FUNDS", hold(a, 6)],
  ["INSUFFICIENT_FUNDS", { ...hold(a, 2), minBalance: 4 }],
  ["INSUFFICIENT_FUNDS", { ...capture(a, held, 3), minBalance: 8 }],
  ["BALANCE_LIMIT_EXCEEDED", { user: full, amount: 1 }],
  ["BALANCE_LIMIT_EXCEEDED", transfer(a, full, 1)],
  ["BALANCE_LIMIT_EXCEEDED", capture(a, held, 1, full)],
  ["HOLD_NOT_FOUND", capture(a, unknown)],
  ["HOLD_NOT_FOUND", release(a, unknown)],
  ["HOLD_NOT_FOUND", capture(b, held)],
  ["HOLD_NOT_FOUND", release(b, held)],
  ["HOLD_CLOSED", capture(a, closed, 99)],
  ["HOLD_CLOSED", release(a, closed)],
  ["CAPTURE_EXCEEDS_HOLD", capture(a, held, 6)],
  ["CAPTURE_EXCEEDS_HOLD", { ...capture(a, held, 6, full), minBalance: 99 }],
];

test.each(cases)("%s: %j", async (reason, step) => {
  const before = await fingerprint();
  const [alone] = await apply([step]);
  expect(alone?.refusal).toBe(reason);
  // The same between two others, and it is about the user who asks.
  const touch: Step = { user: b, kind: "touch" };
  expect(await apply([touch, step, touch])).toEqual([
    { refusal: null, balance: 0, version: 0 },
    alone,
    { refusal: null, balance: 0, version: 0 },
  ]);
  const known = { [a]: [5, 5], [b]: [0, 0], [full]: [Number.MAX_SAFE_INTEGER, 1] }[step.user];
  expect([alone?.balance, alone?.version]).toEqual(known ?? [null, null]);
  expect(await fingerprint()).toEqual(before);
});

const impossible: readonly (readonly [what: string, Step])[] = [
  ["a change of 0", { user: a, amount: 0 }],
  ["a change of nothing", { user: a, amount: null }],
  ["a change of nothing of nobody", { user: none, amount: null }],
  ["a transfer of 0", transfer(a, b, 0)],
  ["a transfer that takes from the payee", transfer(a, full, -5)],
  ["a transfer of nothing", { ...transfer(a, b, 1), amount: null }],
  ["a transfer to oneself", transfer(a, a, 1)],
  ["a transfer to nobody in particular", { kind: "transfer", user: a, amount: 1, id: unknown }],
  ["a hold of 0", hold(a, 0)],
  ["a hold of less", hold(a, -1)],
  ["a hold of nothing", { ...hold(a, 1), amount: null }],
  ["an opening of less than 0", { user: none, kind: "opening", amount: -1 }],
  ["an opening of nothing", { user: none, kind: "opening", amount: null }],
  ["a capture of 0", capture(a, held, 0)],
  ["a capture of less", capture(a, held, -1)],
  ["a capture for the one who pays", capture(a, held, 1, a)],
  ["a void of a part", { ...release(a, held), amount: 1 }],
  ["a touch of an amount", { user: a, kind: "touch", amount: 1 }],
  ["an unknown kind", { user: a, kind: "gift" as "hold", amount: 1, id: unknown }],
];

test.each(impossible)("%s cannot be asked: 22023, alone or beside others", async (_what, step) => {
  const before = await fingerprint();
  await expect(apply([step])).rejects.toMatchObject({ code: "22023" });
  const beside: Step = { user: b, amount: 1 };
  await expect(apply([beside, step, beside])).rejects.toMatchObject({ code: "22023" });
  expect(await fingerprint()).toEqual(before);
});
