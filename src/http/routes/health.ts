import type { Express } from "express";
import { packageVersion } from "../../package-root.ts";
import { sendData, sendError } from "../answer.ts";
import { type Api, methodNotAllowed } from "../api.ts";

/**
 * GET /healthz: the process lives. GET /readyz: it can do its work. Parameters mean nothing and are not
 * minded: probes add some of their own, and a server is not down for them.
 */
export function healthRoutes(app: Express, api: Api): void {
  const service = { service: "balancectl", version: packageVersion() };
  app
    .route("/healthz")
    .get((_req, res) => sendData(res, service))
    .all(methodNotAllowed("GET, HEAD"));

  app
    .route("/readyz")
    .get(async (_req, res) => {
      const reason = await api.notReady();
      if (reason === null) sendData(res, { ready: true });
      else sendError(res, "DATABASE_UNAVAILABLE", reason);
    })
    .all(methodNotAllowed("GET, HEAD"));
}
