/** The Express application. It knows the routes and never listens. */
import express, { type ErrorRequestHandler, type Express } from "express";
import { asBalancectlError, BalancectlError } from "../errors.ts";
import { sendError, sendFailure } from "./answer.ts";
import type { Api } from "./api.ts";
import { guardOrigin } from "./middleware/guard-origin.ts";
import { requireKey } from "./middleware/require-key.ts";
import { balanceRoutes } from "./routes/balance.ts";
import { entryRoutes } from "./routes/entries.ts";
import { healthRoutes } from "./routes/health.ts";
import { holdRoutes } from "./routes/holds.ts";
import { operationRoutes } from "./routes/operations.ts";
import { transferRoutes } from "./routes/transfers.ts";
import { userRoutes } from "./routes/users.ts";

export interface AppOptions {
  /** Where the server listens: a loopback host is guarded against other names. */
  readonly host: string;
  readonly allowedHosts: readonly string[];
  /** Whether a change without an Idempotency-Key is refused. */
  readonly requireKeys: boolean;
}

export function createApp(api: Api, options: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  app.use(guardOrigin(options.host, options.allowedHosts));
  if (options.requireKeys) app.use(requireKey);
  // The busiest route first: the router tries them in order.
  balanceRoutes(app, api);
  userRoutes(app, api);
  transferRoutes(app, api);
  holdRoutes(app, api);
  entryRoutes(app, api);
  operationRoutes(app, api);
  healthRoutes(app, api);
  app.use((req, res) => sendError(res, "ROUTE_NOT_FOUND", `There is nothing at ${clip(req.path)}`));
  app.use(answerFailures(api));
  return app;
}

/** Express 5 brings rejected handlers here by itself. */
function answerFailures({ log }: Api): ErrorRequestHandler {
  return (thrown, req, res, next) => {
    const error = isBadPath(thrown)
      ? new BalancectlError("INVALID_REQUEST", "The path has a malformed % sequence")
      : asBalancectlError(thrown);
    if (error.code === "INTERNAL") {
      log.error(
        { err: error.cause ?? error, method: req.method, path: req.path },
        "internal error",
      );
    }
    if (res.headersSent) next(error);
    else sendFailure(res, error);
  };
}

/** What Express throws when it cannot decode a path parameter. */
function isBadPath(error: unknown): boolean {
  return error instanceof URIError;
}

function clip(path: string): string {
  return path.length > 100 ? `${path.slice(0, 100)}…` : path;
}
