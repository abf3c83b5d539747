/**
 * Everything a person sees: results on stdout, progress and errors on stderr, colours only where
 * a terminal shows them. The only importer of chalk and ora.
 */
import { Chalk, type ChalkInstance } from "chalk";
import type { BalancectlError, ErrorCode } from "../errors.ts";

export interface Output {
  readonly json: boolean;
  readonly paint: ChalkInstance;
  /** Width of the terminal in columns; 80 where there is none. */
  readonly columns: number;
  /** The result: one JSON document with --json, else the text. */
  result(data: unknown, text: () => string): void;
  /** A line of a result that comes in many lines. */
  line(text: string): Promise<void>;
  /** Says on stderr what is being done now. */
  progress(text: string): Progress;
  /** A remark on stderr; not with --json. */
  note(text: string): void;
  failure(error: BalancectlError): void;
}

export interface Progress {
  update(text: string): void;
  /** Ends it; the text, if any, stays on the screen. */
  end(text?: string): void;
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function createOutput({ stdout, stderr, env }: Streams, json: boolean): Output {
  const plain = Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  const paint = new Chalk(plain || !stdout.isTTY ? { level: 0 } : {});
  const paintError = new Chalk(plain || !stderr.isTTY ? { level: 0 } : {});
  return {
    json,
    paint,
    columns: stdout.columns || 80,
    result: (data, text) => {
      stdout.write(`${json ? JSON.stringify(data) : text()}\n`);
    },
    line: async (text) => {
      if (stdout.write(`${text}\n`)) return;
      await new Promise((resolve) => stdout.once("drain", resolve));
    },
    progress: (text) => {
      if (stderr.isTTY && !plain) return startSpinner(stderr, text);
      return json ? silent : startLines(stderr, text);
    },
    note: (text) => {
      if (!json) stderr.write(`${paintError.dim(text)}\n`);
    },
    failure: (error) => {
      if (json) {
        const { code, message } = error;
        stdout.write(`${JSON.stringify({ success: false, error: { code, message } })}\n`);
      } else {
        const [first, ...rest] = error.message.split("\n");
        stderr.write(`${paintError.red("balancectl:")} ${first}\n`);
        for (const line of rest) stderr.write(`  ${line}\n`);
      }
    },
  };
}

/** Rows as aligned columns, two blanks apart. `right` names the columns that hold numbers. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => visibleLength(row[column] ?? ""))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const blanks = " ".repeat((widths[column] ?? 0) - visibleLength(cell));
          return right.includes(column) ? blanks + cell : cell + blanks;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const exitCodeOf: Readonly<Record<ErrorCode, 1 | 2 | 3>> = {
  INVALID_REQUEST: 2,
  INVALID_JSON: 2,
  CONFIG_INVALID: 2,
  USER_NOT_FOUND: 3,
  USER_EXISTS: 3,
  INSUFFICIENT_FUNDS: 3,
  BALANCE_LIMIT_EXCEEDED: 3,
  PRECONDITION_FAILED: 3,
  IDEMPOTENCY_KEY_REUSED: 3,
  OPERATION_NOT_FOUND: 3,
  TRANSFER_NOT_FOUND: 3,
  HOLD_NOT_FOUND: 3,
  HOLD_CLOSED: 3,
  CAPTURE_EXCEEDS_HOLD: 3,
  FORBIDDEN_HOST: 1,
  FORBIDDEN_ORIGIN: 1,
  ROUTE_NOT_FOUND: 1,
  METHOD_NOT_ALLOWED: 1,
  REQUEST_TIMEOUT: 1,
  PAYLOAD_TOO_LARGE: 1,
  UNSUPPORTED_MEDIA_TYPE: 1,
  HEADERS_TOO_LARGE: 1,
  OVERLOADED: 1,
  DATABASE_UNAVAILABLE: 1,
  INTERNAL: 1,
  EMBEDDED_UNAVAILABLE: 1,
  SCHEMA_OUTDATED: 1,
  SCHEMA_TOO_NEW: 1,
  MIGRATION_FAILED: 1,
  SERVER_FAILED: 1,
};

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

const silent: Progress = { update: () => {}, end: () => {} };

/** Where nothing can be redrawn, each new text is a line; updates of the same step stay silent. */
function startLines(stderr: NodeJS.WriteStream, text: string): Progress {
  stderr.write(`${text}\n`);
  return {
    update: () => {},
    end: (last) => {
      if (last !== undefined) stderr.write(`${last}\n`);
    },
  };
}

/** ora takes 90 ms to load, so the text is on the screen first and begins to spin when it is there. */
function startSpinner(stderr: NodeJS.WriteStream, text: string): Progress {
  let current = text;
  let ended = false;
  let spinner: { text: string; stop(): unknown } | undefined;
  const clear = () => stderr.write("\r\x1b[K");
  stderr.write(`- ${text}`);
  import("ora").then(
    ({ default: ora }) => {
      if (ended) return;
      clear();
      spinner = ora({ text: current, stream: stderr, discardStdin: false }).start();
    },
    () => {},
  );
  return {
    update: (next) => {
      current = next;
      if (spinner) spinner.text = next;
    },
    end: (last) => {
      ended = true;
      if (spinner) spinner.stop();
      else clear();
      if (last !== undefined) stderr.write(`${last}\n`);
    },
  };
}
