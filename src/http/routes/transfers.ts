import type { Express } from "express";
import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import {
  idNumber,
  parseRequest,
  positiveAmount,
  uuidText,
  writeFields,
} from "../../ledger/fields.ts";
import { refusalError } from "../../ledger/refusal.ts";
import { transfer, transferBatch } from "../../ledger/request.ts";
import { nthUuid } from "../../ledger/uuid.ts";
import { legsMax } from "../../limits.ts";
import { sendData, sendFailure } from "../answer.ts";
import { type Api, answeredRefusal, methodNotAllowed, refuseQuery, writeOptions } from "../api.ts";
import { readJsonBody } from "../json-body.ts";

const transferBody = z
  .strictObject({ from: idNumber, to: idNumber, amount: positiveAmount, ...writeFields })
  .refine(({ from, to }) => from !== to, { error: "must not be the user who pays", path: ["to"] });
const batchBody = z.strictObject({
  transfers: z
    .array(transferBody, { error: "must be an array of transfers" })
    .min(1, { error: "must have at least one transfer" })
    .max(legsMax, { error: `must have at most ${legsMax} transfers` }),
});

/** POST /api/transfers, POST /api/transfers/batch, GET /api/transfers/:id. */
export function transferRoutes(app: Express, api: Api): void {
  const { ledger, bodyBytesMax } = api;
  app
    .route("/api/transfers")
    .post(async (req, res) => {
      const body = await readJsonBody(req, bodyBytesMax);
      const { from, to, amount, ...context } = parseRequest(transferBody, body, "body");
      const operation = transfer({ from, to, amount }, writeOptions(req, context));
      const outcome = await ledger.apply(operation);
      if (answeredRefusal(res, operation, outcome)) return;
      const { operationId: id, balance } = outcome;
      // The payer's balance; the recipient's is not the payer's business.
      sendData(res, { id, from, to, amount, balance }, 201, { Location: `/api/transfers/${id}` });
    })
    .all(methodNotAllowed("POST"));

  app
    .route("/api/transfers/batch")
    .post(async (req, res) => {
      const body = await readJsonBody(req, bodyBytesMax);
      const { transfers } = parseRequest(batchBody, body, "body");
      const operation = transferBatch(transfers, writeOptions(req, {}));
      const outcome = await ledger.apply(operation);
      if (outcome.replayed) res.setHeader("Idempotent-Replayed", "true");
      if (outcome.refusal !== null) {
        const index = (outcome.refusedLeg ?? 1) - 1;
        const leg = [operation, ...(operation.legs ?? [])][index] ?? operation;
        const { code, message } = refusalError(outcome.refusal, leg);
        const prefix = outcome.refusedLeg === null ? "" : `transfers.${index}: `;
        sendFailure(res, new BalancectlError(code, `${prefix}${message}`));
        return;
      }
      const first = outcome.operationId as string;
      sendData(
        res,
        {
          transfers: transfers.map(({ from, to, amount }, index) => {
            return { id: nthUuid(first, index), from, to, amount };
          }),
        },
        201,
      );
    })
    .all(methodNotAllowed("POST"));

  app
    .route("/api/transfers/:id")
    .get(async (req, res) => {
      refuseQuery(req);
      const id = parseRequest(uuidText, req.params.id, "path: id");
      const { reference, metadata, createdAt, ...sides } = await ledger.transfer(id);
      sendData(res, {
        ...sides,
        ...(reference !== null && { reference }),
        ...(metadata !== null && { metadata }),
        createdAt: createdAt.toISOString(),
      });
    })
    .all(methodNotAllowed("GET, HEAD"));
}
