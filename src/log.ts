import { type Logger, pino } from "pino";
import type { Config } from "./config.ts";
import { createLogSink, type LogSink } from "./log-sink.ts";

export type { Logger };

let stderr: LogSink | undefined;

/** One JSON line an event, on stderr: stdout is for results. Nobody waits for a line to be read. */
export function createLogger(level: Config["logLevel"]): Logger {
  const write = (line: string) => {
    stderr ??= createLogSink(2);
    stderr.write(line);
  };
  return pino({ level, base: { pid: process.pid } }, { write });
}

/** Before the process ends: what was logged is written, unless nobody reads it. */
export async function flushLog(): Promise<void> {
  await stderr?.flush(flushMsMax);
}

const flushMsMax = 1_000;
