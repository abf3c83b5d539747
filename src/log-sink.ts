/**
 * Where the lines of the log go. It never makes the program wait: a reader that stands still stops whoever
 * writes to its pipe once that is full (64 KB), so lines that it has not taken are kept up to a bound, and
 * beyond it dropped and counted.
 *
 * No thread must be stuck in a write either, because a process does not end before it. So a pipe is opened
 * once more by its name in /proc, as one that says when it is full; what is shared with other processes is
 * left as it is. Where that cannot be (a socket, another system), a thread writes.
 */
import { constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { within } from "./within.ts";

export interface LogSink {
  write(line: string): void;
  /** Waits until everything is written, but no longer than this for a reader that stands still. */
  flush(withinMs: number): Promise<void>;
}

/** Some hundred errors with their stacks. */
const bytesMax = 1_000_000;

/** What a pipe takes as a whole or not at all (PIPE_BUF): lines of several processes do not mix. */
const wholeBytesMax = 4_096;

/** Between two attempts at a pipe that is full. */
const againMs = 20;

/** A write that takes longer has met a reader that stands still. */
const stalledMs = 100;

export function createLogSink(given: number): LogSink {
  const reopened = reopen(given);
  const fd = reopened ?? given;
  const lines: Buffer[] = [];
  let bytes = 0;
  let dropped = 0;
  /** What the pipe had no room for. */
  let refused: Buffer | undefined;
  let writingSince: number | undefined;
  let idle: (() => void)[] = [];

  function enqueue(line: string): void {
    const added = Buffer.from(line);
    if (bytes + added.length > bytesMax) {
      dropped += 1;
      return;
    }
    bytes += added.length;
    lines.push(added);
    if (writingSince === undefined) next();
  }

  function next(): void {
    if (dropped > 0 && bytes < bytesMax / 2) {
      const notice = Buffer.from(droppedLine(dropped));
      dropped = 0;
      bytes += notice.length;
      lines.push(notice);
    }
    if (lines.length === 0) {
      writingSince = undefined;
      for (const tell of idle) tell();
      idle = [];
      return;
    }
    writingSince = performance.now();
    attempt(takeLines(lines));
  }

  function attempt(part: Buffer): void {
    refused = undefined;
    write(fd, part, (error, written) => {
      if (error?.code === "EAGAIN") {
        refused = part;
        setTimeout(attempt, againMs, part).unref();
        return;
      }
      // Nobody is left to tell that a line is lost with its reader or its disk.
      bytes -= error ? part.length : written;
      if (!error && written < part.length) attempt(part.subarray(written));
      else next();
    });
  }

  // What is left when the process ends without a flush.
  process.once("exit", () => {
    if (writingSince === undefined) return;
    if (reopened === undefined && performance.now() - writingSince > stalledMs) return;
    try {
      for (const part of refused ? [refused, ...lines] : lines) writeSync(fd, part);
    } catch {
      // It is full, or gone.
    }
  });

  return {
    write: enqueue,
    flush: async (withinMs) => {
      if (writingSince === undefined) return;
      await within(withinMs, new Promise<void>((resolve) => idle.push(resolve)));
    },
  };
}

/** As many whole lines as go together, one at least. */
function takeLines(lines: Buffer[]): Buffer {
  let count = 1;
  let size = lines[0]?.length ?? 0;
  for (; count < lines.length; count++) {
    size += lines[count]?.length ?? 0;
    if (size > wholeBytesMax) break;
  }
  return Buffer.concat(lines.splice(0, count));
}

/** Of a pipe or a terminal: one that nobody else has, and that never blocks. Files never block anyway. */
function reopen(fd: number): number | undefined {
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return undefined;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

function droppedLine(dropped: number): string {
  const msg = "nobody read the log, and lines were dropped";
  return `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, dropped, msg })}\n`;
}
