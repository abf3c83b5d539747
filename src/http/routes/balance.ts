import { idText } from "../../ledger/fields.ts";
import { adjustment } from "../../ledger/request.ts";
import { adjusted } from "../contract/answers.ts";
import { adjustmentBody } from "../contract/requests.ts";
import { entityTag } from "../headers.ts";
import { ok, refusedBy, route, withConditions } from "../route.ts";

/** Changes the balance by a signed amount. */
export const adjustBalance = route({
  name: "balance.adjust",
  summary: "Change a balance by a signed amount",
  example: { amount: -2, reference: "order 17" },
  method: "PUT",
  path: "/api/users/:userId/balance",
  scope: "write",
  params: { userId: idText },
  body: adjustmentBody,
  answers: { 200: adjusted },
  refusals: [
    "USER_NOT_FOUND",
    "INSUFFICIENT_FUNDS",
    "BALANCE_LIMIT_EXCEEDED",
    "PRECONDITION_FAILED",
    "IDEMPOTENCY_KEY_REUSED",
  ],
  handle: async ({ params: { userId: id }, body, conditions }, { ledger }) => {
    const { amount, ...context } = body;
    const operation = adjustment(id, amount, withConditions(context, conditions));
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    const { balance, previousBalance, version, replayed } = outcome;
    const headers = { ETag: entityTag(version) };
    return ok({ id, balance, previousBalance, amount }, { headers, replayed });
  },
});
