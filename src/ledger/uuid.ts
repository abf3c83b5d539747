import { randomBytes } from "node:crypto";

/**
 * A UUID of version 7 (RFC 9562): ordered by time, so that indexes on it grow at one end. Its last
 * 16 bits are zero and number the legs of a batch, see nthUuid; 58 bits are random.
 */
export function uuidV7(nowMs = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  bytes.writeUInt16BE(0, 14);
  const hex = bytes.toString("hex");
  return [8, 12, 16, 20, 32]
    .map((end, index, ends) => hex.slice(ends[index - 1] ?? 0, end))
    .join("-");
}

/** The id of a batch's leg, from 0, from the id of its first: so that one stored id names them all. */
export function nthUuid(first: string, index: number): string {
  return first.slice(0, -4) + index.toString(16).padStart(4, "0");
}
