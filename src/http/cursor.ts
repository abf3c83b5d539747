import { createHash } from "node:crypto";
import type { z } from "zod";
import { BalancectlError } from "../errors.ts";

/**
 * A cursor is opaque to clients: the query it continues and where, and a check sum, so that one
 * that was cut, altered or made up is refused instead of giving wrong pages. It protects nothing:
 * whoever may list may list from anywhere.
 */
export function encodeCursor(position: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(position);
  return Buffer.from(checkSum(text) + text).toString("base64url");
}

/** @throws BalancectlError INVALID_REQUEST when it is not a cursor of ours for this schema */
export function decodeCursor<T>(cursor: string, schema: z.ZodType<T>): T {
  const decoded = Buffer.from(cursor, "base64url").toString("utf8");
  const text = decoded.slice(checkSumLength);
  if (text !== "" && decoded.slice(0, checkSumLength) === checkSum(text)) {
    const position = schema.safeParse(JSON.parse(text));
    if (position.success) return position.data;
  }
  throw new BalancectlError(
    "INVALID_REQUEST",
    "cursor is not one that this list gave; begin again without it",
  );
}

const checkSumLength = 12;

function checkSum(text: string): string {
  return createHash("sha256")
    .update(`balancectl cursor ${text}`)
    .digest("base64url")
    .slice(0, checkSumLength);
}
