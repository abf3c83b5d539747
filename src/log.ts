import { type Logger, pino } from "pino";
import type { Config } from "./config.ts";

export type { Logger };

/** One JSON line an event, on stderr: stdout is for results. */
export function createLogger(level: Config["logLevel"]): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }));
}
