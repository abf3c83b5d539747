/** Requests that are refused at the edge, each with the answer in full. */
import type { ApiAnswer, ApiRequest } from "./write-model.ts";

const json = { "content-type": "application/json" };

export const badRequests: readonly { request: ApiRequest; answer: ApiAnswer }[] = [
  bad("PUT", "/api/users/1/balance", { amount: 0 }, "amount must not be 0 (it is 0)"),
  bad(
    "POST",
    "/api/users",
    { balance: -1 },
    "balance must be a whole number from 0 to 9007199254740991 (it is -1)",
  ),
  bad(
    "POST",
    "/api/transfers",
    { from: 2, to: 2, amount: 1 },
    "to must not be the user who pays (it is 2)",
  ),
  bad(
    "POST",
    "/api/transfers/batch",
    { transfers: [] },
    "transfers must have at least one transfer (it is an array)",
  ),
  bad(
    "POST",
    "/api/transfers/batch",
    {
      transfers: [
        { from: 1, to: 2, amount: 1 },
        { from: 1, to: 2, amount: 0 },
      ],
    },
    "transfers.1.amount must be a whole number from 1 to 9007199254740991 (it is 0)",
  ),
  bad(
    "POST",
    "/api/users/1/holds",
    { amount: 1, expiresIn: 0 },
    "expiresIn must be a whole number of seconds from 1 to 315360000 (it is 0)",
  ),
  bad(
    "POST",
    "/api/users/1/holds/00000000-0000-7000-8000-000000000000/capture",
    { to: 1 },
    "to must not be the user who pays; void the hold to give the money back",
  ),
  bad("POST", "/api/users/1/holds/7/void", {}, 'path: holdId must be a UUID (it is "7")'),
  bad(
    "POST",
    "/api/transfers",
    { from: 1, to: 2, amount: 1, reference: "\u0000" },
    'reference may have letters, digits, punctuation and spaces; no control characters and no emoji (it is "\\u0000")',
  ),
];

function bad(method: string, path: string, body: object, message: string) {
  const error = { code: "INVALID_REQUEST", message };
  return {
    request: {
      method,
      path,
      headers: { ...json, "idempotency-key": "k1" },
      body: JSON.stringify(body),
    },
    answer: { status: 400, body: { success: false, error } },
  };
}
