/** A history as a file: JSON Lines, written while the round runs, so that a crash leaves what there was. */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { type History, type Line, sortLines } from "./history.ts";

export interface HistoryFile {
  readonly path: string;
  add(line: Line): void;
  close(): Promise<void>;
}

export function writeHistory(path: string): HistoryFile {
  const stream = createWriteStream(path);
  let failure: Error | undefined;
  stream.on("error", (error) => {
    failure = error;
  });
  return {
    path,
    add: (line) => {
      if (failure) throw failure;
      stream.write(`${JSON.stringify(line)}\n`);
    },
    close: async () => {
      stream.end();
      if (!stream.closed) await once(stream, "close");
      if (failure) throw failure;
    },
  };
}

export async function readHistory(path: string): Promise<History> {
  const lines: Line[] = [];
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (text !== "") lines.push(JSON.parse(text) as Line);
  }
  return sortLines(lines);
}
