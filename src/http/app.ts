/** The Express application. It knows the routes and never listens. */
import express, { type ErrorRequestHandler, type Express } from "express";
import { asBalancectlError, BalancectlError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { packageVersion } from "../package-root.ts";
import { admitting } from "./admit.ts";
import { sendError, sendFailure } from "./answer.ts";
import { guardRequests } from "./middleware/guard-requests.ts";
import { type Json, openApiDocument } from "./openapi/document.ts";
import { registerRoutes } from "./register-routes.ts";
import { namesOf } from "./request-id.ts";
import type { Api, RouteTimer } from "./route.ts";
import { routes } from "./routes/all.ts";

export interface AppOptions {
  /** Where the server listens. */
  readonly host: string;
  /** Other names that it answers for. */
  readonly allowedHosts: readonly string[];
  /** Of pages elsewhere that may use it. */
  readonly allowedOrigins: readonly string[];
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Whether a change without an Idempotency-Key is refused. */
  readonly requireKeys: boolean;
  readonly bodyBytesMax: number;
  /** Makes the timer of a route. */
  readonly timer?: ((route: string, method: string) => RouteTimer) | undefined;
}

/** @param parts what handlers stand on, but for what follows from the routes */
export function createApp(parts: Omit<Api, "describe">, log: Logger, options: AppOptions): Express {
  let described: Json | undefined;
  const describe = () => {
    described ??= openApiDocument(routes, packageVersion());
    return described;
  };
  const api: Api = { ...parts, describe };
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  app.use(guardRequests(options, () => api.access.isOpen));
  const admit = admitting(api.access, options.trustedProxies);
  registerRoutes(app, routes, api, admit, options);
  app.use((req, res) => {
    if (admit(req, res, "read") === undefined) return;
    sendError(res, "ROUTE_NOT_FOUND", `There is nothing at ${clip(req.path)}`);
  });
  app.use(answerFailures(log));
  return app;
}

/** Express 5 brings rejected handlers here by itself. */
function answerFailures(log: Logger): ErrorRequestHandler {
  return (thrown, req, res, next) => {
    const error = isBadPath(thrown)
      ? new BalancectlError("INVALID_REQUEST", "The path has a malformed % sequence")
      : asBalancectlError(thrown);
    if (error.code === "INTERNAL") {
      log.error(
        { ...namesOf(res), err: error.cause ?? error, method: req.method, path: req.path },
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
