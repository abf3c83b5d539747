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

/**
 * @param schema with its fields in the order in which they were encoded
 * @throws BalancectlError INVALID_REQUEST when it is not a cursor of ours for this schema
 */
export function decodeCursor<T extends Readonly<Record<string, unknown>>>(
  cursor: string,
  schema: z.ZodType<T>,
): T {
  const position = schema.safeParse(positionIn(cursor));
  // What is ours is written in one way only; whatever else reads the same was made by somebody else.
  if (position.success && encodeCursor(position.data) === cursor) return position.data;
  throw new BalancectlError(
    "INVALID_REQUEST",
    "cursor is not one that this list gave; begin again without it",
  );
}

/** Undefined when there is none. */
function positionIn(cursor: string): unknown {
  const decoded = Buffer.from(cursor, "base64url").toString("utf8");
  try {
    return JSON.parse(decoded.slice(checkSumLength));
  } catch {
    return undefined;
  }
}

const checkSumLength = 12;

function checkSum(text: string): string {
  return createHash("sha256")
    .update(`balancectl cursor ${text}`)
    .digest("base64url")
    .slice(0, checkSumLength);
}
