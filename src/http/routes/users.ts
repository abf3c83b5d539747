import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import { idNumber, idText } from "../../ledger/fields.ts";
import { opening } from "../../ledger/request.ts";
import { user, userAt, userPage } from "../contract/answers.ts";
import { openingBody, userQuery, usersQuery } from "../contract/requests.ts";
import { userView } from "../contract/views.ts";
import { decodeCursor } from "../cursor.ts";
import { entityTag, namesTag } from "../headers.ts";
import { pageOf } from "../page.ts";
import { created, notModified, ok, refused, refusedBy, route, withConditions } from "../route.ts";

export const openUser = route({
  name: "user.open",
  summary: "Open a user, under an id or the next that is free",
  example: { balance: 100 },
  method: "POST",
  path: "/api/users",
  scope: "write",
  body: openingBody,
  creates: true,
  answers: { 201: user },
  refusals: ["USER_EXISTS", "PRECONDITION_FAILED", "IDEMPOTENCY_KEY_REUSED"],
  handle: async ({ body, conditions }, { ledger }) => {
    const { id, balance, ...context } = body;
    const outcome = await ledger.openUser({ id, balance }, withConditions(context, conditions));
    if (outcome.refusal !== null) {
      return refusedBy(outcome, opening(id ?? 0, balance, id));
    }
    const { createdUserId, replayed } = outcome;
    return created({ id: createdUserId, balance }, `/api/users/${createdUserId}`, replayed);
  },
});

const position = z.strictObject({ users: z.literal("id"), after: idNumber });

/** In the order of their ids. */
export const listUsers = route({
  name: "user.list",
  summary: "List users in the order of their ids",
  method: "GET",
  path: "/api/users",
  scope: "read",
  query: usersQuery,
  answers: { 200: userPage },
  refusals: [],
  handle: async ({ query: { limit, cursor, after: beyond } }, { ledger }) => {
    if (cursor !== undefined && beyond !== undefined) {
      throw new BalancectlError("INVALID_REQUEST", "after and cursor both say where to begin");
    }
    const after = cursor === undefined ? (beyond ?? 0) : decodeCursor(cursor, position).after;
    const found = await ledger.users(after, limit + 1);
    const { items, nextCursor, headers } = pageOf(
      "/api/users",
      limit,
      found.slice(0, limit),
      found.length > limit,
      ({ id }) => ({ users: "id", after: id }),
    );
    return ok({ users: items.map(userView), nextCursor }, { headers });
  },
});

/** Now, or with `at` as of a moment; as the tag of its version allows (RFC 9110, 13.2.2). */
export const getUser = route({
  name: "user.get",
  summary: "Show what a user can spend, now or at a moment",
  method: "GET",
  path: "/api/users/:userId",
  scope: "read",
  params: { userId: idText },
  query: userQuery,
  answers: { 200: z.union([user, userAt]), 304: null },
  refusals: ["USER_NOT_FOUND", "PRECONDITION_FAILED"],
  handle: async ({ params: { userId: id }, query: { at }, headers: asked }, { ledger }) => {
    if (at !== undefined) {
      const balance = await ledger.balanceAt(id, at);
      return ok({ id, balance, at: at.toISOString() });
    }
    const { balance, version } = await ledger.user(id);
    const tag = entityTag(version);
    const { "if-match": match, "if-none-match": noneMatch } = asked;
    if (match !== undefined && !namesTag(match, tag)) {
      return refused("PRECONDITION_FAILED");
    }
    const headers = { ETag: tag };
    if (noneMatch !== undefined && namesTag(noneMatch, tag)) return notModified(headers);
    return ok({ id, balance }, { headers });
  },
});
