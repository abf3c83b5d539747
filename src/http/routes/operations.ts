import type { Express } from "express";
import { BalancectlError } from "../../errors.ts";
import { parseIdempotencyKey } from "../../ledger/fields.ts";
import {
  findStoredOpening,
  findStoredOperation,
  storedOperationView,
} from "../../ledger/stored-operation.ts";
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
      const stored = await findStoredOperation(api.ledger.database, userId, key);
      if (stored === null) throw new BalancectlError("OPERATION_NOT_FOUND");
      sendData(res, storedOperationView(stored));
    })
    .all(methodNotAllowed("GET, HEAD"));

  app
    .route("/api/operations/:key")
    .get(async (req, res) => {
      refuseQuery(req);
      const key = parseIdempotencyKey(req.params.key, "path: key");
      const stored = await findStoredOpening(api.ledger.database, key);
      if (stored === null) throw new BalancectlError("OPERATION_NOT_FOUND");
      sendData(res, storedOperationView(stored));
    })
    .all(methodNotAllowed("GET, HEAD"));
}
