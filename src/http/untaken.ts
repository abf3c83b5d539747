/**
 * Answers that were made and not taken yet, in this process: who asks and does not read must not fill its memory.
 * Small ones are not counted, which are bounded by the number of connections and of requests in work of each.
 */
import type { ServerResponse } from "node:http";
import { BalancectlError } from "../errors.ts";

const smallMax = 4_096;
const bytesMax = 64 * 1_048_576;

let untaken = 0;

/** @throws BalancectlError OVERLOADED when another large answer has no room */
export function requireRoom(): void {
  if (untaken < bytesMax) return;
  throw new BalancectlError("OVERLOADED", "Too many answers wait to be read; try again later");
}

/** Counts an answer until it has been handed to the kernel, or nobody is there to take it. */
export function countUntaken(res: ServerResponse, body: string): void {
  const { length } = body;
  if (length <= smallMax) return;
  untaken += length;
  res.once("close", () => {
    untaken -= length;
  });
}
