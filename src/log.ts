import { type Logger, pino } from "pino";
import type { Config } from "./config.ts";

export type { Logger };

/**
 * One JSON line an event, on stderr: stdout is for results. Lines leave without being waited for, as a
 * reader that is slow must not slow down who logs; what has not left when the process ends is written then.
 */
export function createLogger(level: Config["logLevel"]): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: false }));
}
