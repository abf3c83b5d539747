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
 * The version that If-Match asks for, as ETag gives it: "v12". A * asks for nothing. A W/ before it is what
 * a proxy that compresses makes of our tag: the tag names the user's version, which no compression changes.
 * @throws BalancectlError INVALID_REQUEST for anything else
 */
export function ifMatchVersion(req: Request): number | undefined {
  const value = req.headers["if-match"];
  if (value === undefined || value === "*") return undefined;
  const version = /^(?:W\/)?"v(\d{1,15})"$/.exec(value)?.[1];
  if (version !== undefined) return Number(version);
  throw new BalancectlError(
    "INVALID_REQUEST",
    'If-Match must be one ETag as GET /api/users/:userId gives it, like "v12"',
  );
}

/**
 * Conditions that a write cannot keep are not kept in silence: the change would be made, and be taken
 * for one that met them.
 * @throws BalancectlError PRECONDITION_FAILED, INVALID_REQUEST
 */
export function refuseOtherConditions({ headers }: Request): void {
  const { "if-none-match": noneMatch } = headers;
  if (noneMatch === "*") {
    throw new BalancectlError(
      "PRECONDITION_FAILED",
      "If-None-Match: * asks for what does not exist yet; this changes what exists",
    );
  }
  for (const name of otherConditions) {
    if (headers[name] === undefined) continue;
    throw new BalancectlError(
      "INVALID_REQUEST",
      `${name} cannot be a condition of a change; If-Match with the ETag of the user can`,
    );
  }
}

const otherConditions = [
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
] as const;

/**
 * Whether a list of tags has this one, by the weak comparison of RFC 9110, 8.8.3.2. A * is any.
 * @param value of If-Match or If-None-Match
 */
export function namesTag(value: string, tag: string): boolean {
  return value
    .split(",")
    .some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === tag);
}

export function entityTag(version: number): string {
  return `"v${version}"`;
}
