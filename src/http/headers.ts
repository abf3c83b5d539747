/** Request headers that change what a write means. */
import type { Request } from "express";
import { BalancectlError } from "../errors.ts";
import { parseIdempotencyKey } from "../ledger/fields.ts";

/**
 * The Idempotency-Key, with or without the quotes of a structured header.
 * @throws BalancectlError INVALID_REQUEST when it is not 1 to 255 visible ASCII characters
 */
export function idempotencyKey(req: Request): string | undefined {
  const value = req.headers["idempotency-key"];
  if (value === undefined) return undefined;
  return parseIdempotencyKey(String(value), "Idempotency-Key");
}

/**
 * The version that If-Match asks for, as ETag gives it: "v12". A * asks for nothing.
 * @throws BalancectlError INVALID_REQUEST for anything else
 */
export function ifMatchVersion(req: Request): number | undefined {
  const value = req.headers["if-match"];
  if (value === undefined || value === "*") return undefined;
  const version = /^"v(\d{1,15})"$/.exec(value)?.[1];
  if (version !== undefined) return Number(version);
  throw new BalancectlError(
    "INVALID_REQUEST",
    'If-Match must be one ETag as GET /api/users/:userId gives it, like "v12"',
  );
}

export function entityTag(version: number): string {
  return `"v${version}"`;
}
