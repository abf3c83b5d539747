/** Times as people write them. All that is printed is in UTC, and so is what is read. */
import { BalancectlError } from "../errors.ts";
import { parseRequest, timeText } from "../ledger/fields.ts";
import { secondsIn } from "./durations.ts";

const dayMs = 86_400_000;

/**
 * A moment: RFC 3339 with its offset; a day, which is its beginning; now, today, yesterday, tomorrow; or how long
 * ago, like 90s, 1h, 7d.
 * @param flag for the message
 * @throws BalancectlError INVALID_REQUEST
 */
export function readMoment(text: string, flag: string, nowMs: number): Date {
  const today = nowMs - (nowMs % dayMs);
  const words: Readonly<Record<string, number>> = {
    ...{ now: nowMs, today, yesterday: today - dayMs, tomorrow: today + dayMs },
  };
  const word = Object.hasOwn(words, text) ? words[text] : undefined;
  if (word !== undefined) return new Date(word);
  const ago = secondsIn(text);
  // Before year 0 there is nothing, here as in the API.
  if (ago !== undefined && ago < 2_000 * 365 * 86_400) return new Date(nowMs - ago * 1_000);
  if (/^\d{4}-\d\d-\d\d$/.test(text)) {
    try {
      return parseRequest(timeText, `${text}T00:00:00Z`, flag);
    } catch {
      throw new BalancectlError("INVALID_REQUEST", `${flag}: there is no day ${text}`);
    }
  }
  try {
    return parseRequest(timeText, text, flag);
  } catch (error) {
    const more = "; or a day (2026-01-31), today, yesterday, or how long ago (1h, 7d)";
    throw new BalancectlError("INVALID_REQUEST", `${(error as Error).message}${more}`);
  }
}
