import type { Express } from "express";
import { parseIdempotencyKey } from "../../ledger/fields.ts";
import { storedOperationView } from "../../ledger/stored-operation.ts";
import { sendData } from "../answer.ts";
import { type Api, methodNotAllowed, pathId, refuseQuery } from "../api.ts";

/**
 * What became of the request with this Idempotency-Key: GET /api/users/:userId/operations/:key for what
 * this user paid or held, GET /api/operations/:key for the opening of a user.
 */
export function operationRoutes(app: Express, api: Api): void {
  app
    .route("/api/users/:userId/operations/:key")
    .get(async (req, res) => {
      refuseQuery(req);
      const userId = pathId(req);
      const key = parseIdempotencyKey(req.params.key, "path: key");
      sendData(res, storedOperationView(await api.ledger.storedOperation(userId, key)));
    })
    .all(methodNotAllowed("GET, HEAD"));

  app
    .route("/api/operations/:key")
    .get(async (req, res) => {
      refuseQuery(req);
      const key = parseIdempotencyKey(req.params.key, "path: key");
      sendData(res, storedOperationView(await api.ledger.storedOpening(key)));
    })
    .all(methodNotAllowed("GET, HEAD"));
}
