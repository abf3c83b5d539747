import type { Express } from "express";
import { z } from "zod";
import { parseRequest, signedAmount, writeFields } from "../../ledger/fields.ts";
import { adjustment } from "../../ledger/request.ts";
import { sendData } from "../answer.ts";
import { type Api, answeredRefusal, methodNotAllowed, pathId, writeOptions } from "../api.ts";
import { entityTag } from "../headers.ts";
import { readJsonBody } from "../json-body.ts";

const adjustmentBody = z.strictObject({ amount: signedAmount, ...writeFields });

/** PUT /api/users/:userId/balance changes the balance by a signed amount. */
export function balanceRoutes(app: Express, api: Api): void {
  app
    .route("/api/users/:userId/balance")
    .put(async (req, res) => {
      const userId = pathId(req);
      const body = await readJsonBody(req, api.bodyBytesMax);
      const { amount, ...context } = parseRequest(adjustmentBody, body, "body");
      const operation = adjustment(userId, amount, writeOptions(req, context));
      const outcome = await api.ledger.apply(operation);
      if (answeredRefusal(res, operation, outcome)) return;
      const balance = outcome.balance as number;
      sendData(res, { id: userId, balance, previousBalance: balance - amount, amount }, 200, {
        ETag: entityTag(outcome.version as number),
      });
    })
    .all(methodNotAllowed("PUT"));
}
