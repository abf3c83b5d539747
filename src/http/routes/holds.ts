import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import { idNumber, idText, uuidText } from "../../ledger/fields.ts";
import { capture, hold, voidHold as voidOperation } from "../../ledger/request.ts";
import * as answers from "../contract/answers.ts";
import { captureBody, holdBody, pageQuery, voidBody } from "../contract/requests.ts";
import { closedHoldView, holdView } from "../contract/views.ts";
import { decodeCursor } from "../cursor.ts";
import { pageOf } from "../page.ts";
import { created, ok, refusedBy, route, withConditions } from "../route.ts";

export const makeHold = route({
  name: "hold.make",
  summary: "Take an amount out of what can be spent, until it ends",
  example: { amount: 40, expiresIn: 3600 },
  method: "POST",
  path: "/api/users/:userId/holds",
  scope: "write",
  params: { userId: idText },
  body: holdBody,
  answers: { 201: answers.holdMade },
  refusals: [
    "USER_NOT_FOUND",
    "INSUFFICIENT_FUNDS",
    "HOLD_LIMIT_EXCEEDED",
    "PRECONDITION_FAILED",
    "IDEMPOTENCY_KEY_REUSED",
  ],
  handle: async ({ params: { userId }, body, conditions }, { ledger }) => {
    const { amount, expiresIn, ...context } = body;
    const operation = hold(userId, amount, expiresIn, withConditions(context, conditions));
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    const { hold: made, balance, replayed } = outcome;
    const data = { ...holdView(made), balance };
    return created(data, `/api/users/${userId}/holds/${made.id}`, replayed);
  },
});

/** Open ones first, then closed ones, newest first in each. */
export const listHolds = route({
  name: "hold.list",
  summary: "List a user's holds, open ones first",
  method: "GET",
  path: "/api/users/:userId/holds",
  scope: "read",
  params: { userId: idText },
  query: pageQuery,
  answers: { 200: answers.holdPage },
  refusals: ["USER_NOT_FOUND"],
  handle: async ({ params: { userId }, query: { limit, cursor } }, { ledger }) => {
    const found = await ledger.holds(userId, continued(userId, cursor), limit + 1);
    const { items, nextCursor, headers } = pageOf(
      `/api/users/${userId}/holds`,
      limit,
      found.slice(0, limit),
      found.length > limit,
      ({ id, state }) => ({ holdsOf: userId, open: state === "open", before: id }),
    );
    return ok({ holds: items.map(holdView), nextCursor }, { headers });
  },
});

const position = z.strictObject({ holdsOf: idNumber, open: z.boolean(), before: uuidText });

function continued(userId: number, cursor: string | undefined) {
  if (cursor === undefined) return { open: true, before: null };
  const { holdsOf, ...place } = decodeCursor(cursor, position);
  if (holdsOf === userId) return place;
  throw new BalancectlError("INVALID_REQUEST", "cursor belongs to the holds of another user");
}

const holdPath = { userId: idText, holdId: uuidText };

export const getHold = route({
  name: "hold.get",
  summary: "Show a hold",
  method: "GET",
  path: "/api/users/:userId/holds/:holdId",
  scope: "read",
  params: holdPath,
  answers: { 200: answers.hold },
  refusals: ["USER_NOT_FOUND", "HOLD_NOT_FOUND"],
  handle: async ({ params: { userId, holdId } }, { ledger }) =>
    ok(holdView(await ledger.hold(userId, holdId))),
});

const closingRefusals = [
  "USER_NOT_FOUND",
  "HOLD_NOT_FOUND",
  "HOLD_CLOSED",
  "PRECONDITION_FAILED",
  "IDEMPOTENCY_KEY_REUSED",
] as const;

/** Takes the money for good, or a part of it; the rest goes back. */
export const captureHold = route({
  name: "hold.capture",
  summary: "Take what is held for good, all of it or a part",
  example: { amount: 25 },
  method: "POST",
  path: "/api/users/:userId/holds/:holdId/capture",
  scope: "write",
  params: holdPath,
  body: captureBody,
  bodyIsOptional: true,
  answers: { 200: answers.holdClosed },
  refusals: [
    ...closingRefusals,
    "CAPTURE_EXCEEDS_HOLD",
    "INSUFFICIENT_FUNDS",
    "BALANCE_LIMIT_EXCEEDED",
  ],
  handle: async ({ params, body, conditions }, { ledger }) => {
    const { amount, to, ...context } = body;
    const operation = capture({ ...params, amount, to }, withConditions(context, conditions));
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    const { hold: closed, balance, replayed } = outcome;
    return ok(closedHoldView(closed, balance, to), { replayed });
  },
});

/** Gives the money back. */
export const voidHold = route({
  name: "hold.void",
  summary: "Give back what is held",
  example: {},
  method: "POST",
  path: "/api/users/:userId/holds/:holdId/void",
  scope: "write",
  params: holdPath,
  body: voidBody,
  bodyIsOptional: true,
  answers: { 200: answers.holdClosed },
  refusals: closingRefusals,
  handle: async ({ params: { userId, holdId }, body, conditions }, { ledger }) => {
    const operation = voidOperation(userId, holdId, withConditions(body, conditions));
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    const { hold: closed, balance, replayed } = outcome;
    return ok(closedHoldView(closed, balance), { replayed });
  },
});
