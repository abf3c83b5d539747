/**
 * Everything a person sees: results on stdout, progress and errors on stderr, colours only where
 * a terminal shows them. The only importer of chalk and ora.
 */
import { Chalk, type ChalkInstance } from "chalk";
import type { BalancectlError } from "../errors.ts";
import { printable, printableLines } from "../printable.ts";

export interface Output {
  readonly json: boolean;
  readonly paint: ChalkInstance;
  /** Width of the terminal in columns; 80 where there is none. */
  readonly columns: number;
  /** The result: one JSON document with --json, else the text. */
  result(data: unknown, text: () => string): void;
  /** A line of a result that comes in many lines. Rejects when stdout is lost or a stop is asked. */
  line(text: string): Promise<void>;
  /** With --json: a list too long for memory, as one document. It stays one if it fails midway. */
  list(name: string): ListWriter;
  /** Says on stderr what is being done now. */
  progress(text: string): Progress;
  /** A remark on stderr; not with --json. */
  note(text: string): void;
  failure(error: BalancectlError): void;
}

export interface ListWriter {
  item(data: unknown): Promise<void>;
  /** @param rest what stands beside the list */
  end(rest: object): Promise<void>;
}

export interface Progress {
  update(text: string): void;
  /** One more thing that is done, and takes its time: a line of its own where nothing can be redrawn. */
  step(text: string): void;
  /** Ends it; the text, if any, stays on the screen. */
  end(text?: string): void;
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @param stopping aborted when nobody waits for a list's next line any more */
export function createOutput(
  { stdout, stderr, env }: Streams,
  json: boolean,
  stopping: AbortSignal,
): Output {
  const plain = Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  // A terminal of no columns (expect, docker run -dt) has no line to redraw, a CI's log no screen.
  const redrawn = stderr.isTTY && stderr.columns > 0 && !plain && !isCi(env) && !json;
  const write = async (text: string) => {
    if (!stdout.write(text)) await drained(stdout, stopping);
  };
  let list: (ListWriter & { isOpen: boolean }) | undefined;
  const paint = new Chalk(plain || !stdout.isTTY ? { level: 0 } : {});
  const paintError = new Chalk(plain || !stderr.isTTY ? { level: 0 } : {});
  return {
    json,
    paint,
    columns: stdout.columns || 80,
    result: (data, text) => {
      stdout.write(`${json ? jsonText(data) : printableLines(text())}\n`);
    },
    line: (text) => write(`${printableLines(text)}\n`),
    list: (name) => {
      list = startList(name, write);
      return list;
    },
    progress: (text) => {
      if (json) return silent;
      const started = printableLines(text);
      return tamed(redrawn ? startSpinner(stderr, started) : startLines(stderr, started));
    },
    note: (text) => {
      if (!json) stderr.write(`${paintError.dim(printableLines(text))}\n`);
    },
    failure: (error) => {
      if (json) {
        const { code, message } = error;
        const told = jsonText({ success: false, error: { code, message } });
        stdout.write(list?.isOpen ? `]},${told.slice(1)}\n` : `${told}\n`);
      } else {
        const [first, ...rest] = error.message.split("\n").map(printable);
        stderr.write(`${paintError.red("balancectl:")} ${first}\n`);
        for (const line of rest) stderr.write(`  ${line}\n`);
      }
    },
  };
}

/** JSON that a terminal may show. */
export function jsonText(data: unknown): string {
  return printable(JSON.stringify(data));
}

/** Rows as aligned columns, two blanks apart. `right` names the columns that hold numbers. */
export function table(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
  widths: readonly number[] = columnWidths(rows),
): string {
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const blanks = " ".repeat(Math.max(0, (widths[column] ?? 0) - visibleLength(cell)));
          return right.includes(column) ? blanks + cell : cell + blanks;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** What each column of a table needs, in characters. */
export function columnWidths(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => visibleLength(row[column] ?? ""))),
  );
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** "1 user", "2 users" */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${grouped(value)} ${value === 1 ? one : many}`;
}

function visibleLength(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
  return [...text.replace(/\x1b\[[0-9;]*m/g, "")].length;
}

/** The parts of a document; "success" comes last: only then is it known. */
function startList(
  name: string,
  write: (text: string) => Promise<void>,
): ListWriter & { isOpen: boolean } {
  let before = `{"data":{${JSON.stringify(name)}:[`;
  const list = {
    isOpen: false,
    item: async (data: unknown) => {
      const text = before + jsonText(data);
      before = ",";
      list.isOpen = true;
      await write(text);
    },
    end: async (rest: object) => {
      list.isOpen = false;
      const head = before === "," ? "" : before;
      await write(`${head}],${jsonText(rest).slice(1)},"success":true}\n`);
    },
  };
  return list;
}

function isCi(env: Streams["env"]): boolean {
  return !["", "0", "false"].includes(env["CI"] ?? "");
}

/** Waits for a slow reader, unless it is lost or the process is asked to stop. */
function drained(stdout: NodeJS.WriteStream, stopping: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = () => {
      stdout.off("drain", over);
      stopping.removeEventListener("abort", over);
      if (stopping.aborted) reject(stopping.reason);
      else resolve();
    };
    if (stopping.aborted) return over();
    stdout.on("drain", over);
    stopping.addEventListener("abort", over);
  });
}

/** What is shown names folders and hosts. */
function tamed({ update, step, end }: Progress): Progress {
  return {
    update: (text) => update(printableLines(text)),
    step: (text) => step(printableLines(text)),
    end: (text) => end(text === undefined ? undefined : printableLines(text)),
  };
}

const silent: Progress = { update: () => {}, step: () => {}, end: () => {} };

/** Where nothing can be redrawn, each new text is a line; updates of the same step stay silent. */
function startLines(stderr: NodeJS.WriteStream, text: string): Progress {
  stderr.write(`${text}\n`);
  return {
    update: () => {},
    step: (next) => {
      stderr.write(`${next}\n`);
    },
    end: (last) => {
      if (last !== undefined) stderr.write(`${last}\n`);
    },
  };
}

/** ora takes 90 ms to load, so the text is on the screen first and begins to spin when it is there. */
function startSpinner(stderr: NodeJS.WriteStream, text: string): Progress {
  let current = text;
  let ended = false;
  let spinner: { text: string; start(): unknown; stop(): unknown } | undefined;
  // Ours comes before ora's next frame, which would clear infinitely many lines.
  const stopWithoutWidth = () => stderr.columns > 0 || spinner?.stop();
  stderr.on("resize", stopWithoutWidth);
  const clear = () => stderr.write("\r\x1b[K");
  stderr.write(`- ${text}`);
  import("ora").then(
    ({ default: ora }) => {
      if (ended || !(stderr.columns > 0)) return;
      clear();
      spinner = ora({ text: current, stream: stderr, discardStdin: false, isEnabled: true });
      spinner.start();
    },
    () => {},
  );
  const update = (next: string) => {
    current = next;
    if (spinner) spinner.text = next;
  };
  return {
    update,
    step: update,
    end: (last) => {
      ended = true;
      stderr.off("resize", stopWithoutWidth);
      if (spinner) spinner.stop();
      else clear();
      if (last !== undefined) stderr.write(`${last}\n`);
    },
  };
}
