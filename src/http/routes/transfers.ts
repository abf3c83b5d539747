import { mayActFor } from "../../access/caller.ts";
import { uuidText } from "../../ledger/fields.ts";
import { transfer, transferBatch } from "../../ledger/request.ts";
import { nthUuid } from "../../ledger/uuid.ts";
import { transfer as transferAnswer, transferMade, transfersMade } from "../contract/answers.ts";
import { transferBatchBody, transferBody } from "../contract/requests.ts";
import { transferView } from "../contract/views.ts";
import { created, ok, refused, refusedBy, route, withConditions } from "../route.ts";

const refusals = [
  "USER_NOT_FOUND",
  "INSUFFICIENT_FUNDS",
  "BALANCE_LIMIT_EXCEEDED",
  "PRECONDITION_FAILED",
  "IDEMPOTENCY_KEY_REUSED",
] as const;

export const makeTransfer = route({
  name: "transfer.make",
  summary: "Move an amount from one user to another",
  example: { from: 1, to: 2, amount: 5 },
  method: "POST",
  path: "/api/transfers",
  scope: "write",
  concerns: ({ from }) => [from],
  body: transferBody,
  answers: { 201: transferMade },
  refusals,
  handle: async ({ body, conditions }, { ledger }) => {
    const { from, to, amount, ...context } = body;
    const operation = transfer({ from, to, amount }, withConditions(context, conditions));
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    // The payer's balance; the recipient's is not the payer's business.
    const { operationId: id, balance, replayed } = outcome;
    return created({ id, from, to, amount, balance }, `/api/transfers/${id}`, replayed);
  },
});

/** All of them or none. */
export const makeTransferBatch = route({
  name: "transfer.batch",
  summary: "Make up to 500 transfers, all or none",
  example: { transfers: [{ from: 1, to: 2, amount: 5 }] },
  method: "POST",
  path: "/api/transfers/batch",
  scope: "write",
  concerns: ({ transfers }) => transfers.map(({ from }) => from),
  body: transferBatchBody,
  answers: { 201: transfersMade },
  refusals,
  handle: async ({ body: { transfers }, conditions }, { ledger }) => {
    const operation = transferBatch(transfers, conditions);
    const outcome = await ledger.apply(operation);
    if (outcome.refusal !== null) return refusedBy(outcome, operation);
    const { operationId, replayed } = outcome;
    const made = transfers.map(({ from, to, amount }, index) => {
      return { id: nthUuid(operationId, index), from, to, amount };
    });
    return created({ transfers: made }, undefined, replayed);
  },
});

export const getTransfer = route({
  name: "transfer.get",
  summary: "Show a transfer",
  method: "GET",
  path: "/api/transfers/:id",
  scope: "read",
  params: { id: uuidText },
  answers: { 200: transferAnswer },
  refusals: ["TRANSFER_NOT_FOUND"],
  concerns: "answer",
  handle: async ({ params: { id }, caller }, { ledger }) => {
    const found = await ledger.transfer(id);
    const isTheirs = mayActFor(caller, found.from) || mayActFor(caller, found.to);
    return isTheirs ? ok(transferView(found)) : refused("TRANSFER_NOT_FOUND");
  },
});
