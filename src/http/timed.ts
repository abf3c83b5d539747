/** Answers that are timed, from the request's head to their own: a response carries its timer, which costs two fields. */
import type { ServerResponse } from "node:http";
import type { RouteTimer } from "./route.ts";

/** The fields of a response; see the class in server.ts. */
export interface Timed {
  timer: RouteTimer | null;
  beganMs: number;
}

export function time(res: ServerResponse, timer: RouteTimer): void {
  const timed = res as ServerResponse & Timed;
  timed.beganMs = performance.now();
  timed.timer = timer;
}

/** Called with the head of each answer; one that is written twice is counted once. */
export function answered(timed: Timed, status: number): void {
  const { timer } = timed;
  if (timer === null) return;
  timed.timer = null;
  timer.answered(status, performance.now() - timed.beganMs);
}
