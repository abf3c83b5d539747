/**
 * Operations that cannot leave their lane, because its flight does not land: the line to the database has
 * fallen silent, or everything takes too long. Each has a deadline, and behind it nothing was changed. It is
 * looked for by one coarse timer, which runs while something waits.
 */
import { BalancectlError } from "../errors.ts";
import type { Lane } from "./lanes.ts";
import type { Waiting } from "./take-batch.ts";

export interface Deadlines {
  /** Something has begun to wait. */
  watch(): void;
}

/** Often enough for a bound of seconds. */
const lookEveryMs = 1_000;

/** @param refuse is given those that are late, which wait no longer */
export function createDeadlines(
  lanes: readonly Lane[],
  withinMs: number,
  refuse: (lane: Lane, late: Waiting[], error: BalancectlError) => void,
): Deadlines {
  const everyMs = Math.min(lookEveryMs, withinMs / 4);
  let isWatching = false;

  function watch(): void {
    if (isWatching) return;
    isWatching = true;
    setTimeout(look, everyMs).unref();
  }

  function look(): void {
    isWatching = false;
    const now = performance.now();
    for (const lane of lanes) {
      const late = lane.waiting.filter(({ leaveBy }) => leaveBy <= now);
      if (late.length > 0) {
        lane.waiting = lane.waiting.filter(({ leaveBy }) => leaveBy > now);
        refuse(lane, late, tooLate());
      }
    }
    if (lanes.some(({ waiting }) => waiting.length > 0)) watch();
  }

  return { watch };
}

export function tooLate(): BalancectlError {
  return new BalancectlError("DATABASE_UNAVAILABLE", lateText);
}

const lateText =
  "The database took too long with what came before this change; nothing was changed, try again later";
