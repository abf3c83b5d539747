import { z } from "zod";
import { idText, parseIdempotencyKey } from "../../ledger/fields.ts";
import { storedOperation } from "../contract/answers.ts";
import { storedOperationView } from "../contract/views.ts";
import { ok, route } from "../route.ts";

/** What became of the request with this Idempotency-Key: of what this user paid or held. */
export const getOperation = route({
  name: "operation.get",
  summary: "Show what became of a user's request with this Idempotency-Key",
  method: "GET",
  path: "/api/users/:userId/operations/:key",
  scope: "read",
  params: { userId: idText, key: z.string() },
  answers: { 200: storedOperation },
  refusals: ["OPERATION_NOT_FOUND"],
  handle: async ({ params, caller: { client } }, { ledger }) => {
    const key = parseIdempotencyKey(params.key, "path: key");
    return ok(storedOperationView(await ledger.storedOperation(params.userId, key, client)));
  },
});

/** The same of the opening of a user. */
export const getOpening = route({
  name: "opening.get",
  summary: "Show what became of the opening with this Idempotency-Key",
  method: "GET",
  path: "/api/operations/:key",
  scope: "read",
  params: { key: z.string() },
  answers: { 200: storedOperation },
  refusals: ["OPERATION_NOT_FOUND"],
  handle: async ({ params, caller: { client } }, { ledger }) => {
    const key = parseIdempotencyKey(params.key, "path: key");
    return ok(storedOperationView(await ledger.storedOpening(key, client)));
  },
});
