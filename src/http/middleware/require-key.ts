import type { RequestHandler } from "express";
import { sendError } from "../answer.ts";

/**
 * For who wants no change that cannot be repeated safely (BALANCECTL_REQUIRE_KEYS): RFC 6585 has the status
 * for a server that insists on a header.
 */
export const requireKey: RequestHandler = (req, res, next) => {
  const isRead = req.method === "GET" || req.method === "HEAD";
  if (isRead || req.headers["idempotency-key"] !== undefined) next();
  else sendError(res, "IDEMPOTENCY_KEY_REQUIRED");
};
