import { z } from "zod";
import { BalancectlError } from "../errors.ts";
import { parseExactJson } from "../ledger/exact-json.ts";
import { metadata, parseIdempotencyKey, parseRequest, reference } from "../ledger/fields.ts";
import type { WriteOptions } from "../ledger/request.ts";
import type { WriteFlags } from "./commands/write-flags.ts";

const context = z.strictObject({ reference: reference.optional(), metadata: metadata.optional() });

/** @throws BalancectlError INVALID_REQUEST that names the flag */
export function writeOptions(flags: WriteFlags): WriteOptions {
  const given = { reference: flags.reference, metadata: parseMetadata(flags.metadata) };
  const key = flags.idempotencyKey;
  return {
    ...parseRequest(context, given, "flags"),
    ...(key !== undefined && { idempotencyKey: parseIdempotencyKey(key, "--idempotency-key") }),
  };
}

function parseMetadata(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return parseExactJson(text, "--metadata");
  } catch (error) {
    if (error instanceof BalancectlError) throw error;
    throw new BalancectlError("INVALID_REQUEST", "--metadata must be a JSON object");
  }
}
