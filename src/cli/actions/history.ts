import { BalancectlError } from "../../errors.ts";
import { entryView } from "../../http/contract/views.ts";
import { parseRequest, timeText } from "../../ledger/fields.ts";
import type { Entry, HistoryQuery } from "../../ledger/history.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { printable } from "../../printable.ts";
import type { HistoryFlags } from "../commands/history.ts";
import type { Context } from "../context.ts";
import { grouped, jsonText, type Output } from "../output.ts";
import { withLedger } from "../with-ledger.ts";

/** Entries a page: a page is all that is in memory. */
const pageSize = 1_000;

/** Prints a user's journal as a table, as NDJSON (--json) or as CSV, page by page. */
export async function history(
  context: Context,
  userId: number,
  flags: HistoryFlags,
): Promise<void> {
  const { output } = context;
  const from = flags.from === undefined ? undefined : parseRequest(timeText, flags.from, "--from");
  const to = flags.to === undefined ? undefined : parseRequest(timeText, flags.to, "--to");
  if (from && to && from > to) {
    throw new BalancectlError("INVALID_REQUEST", "--from must not be after --to");
  }
  const limit = flags.limit ?? Number.POSITIVE_INFINITY;
  await withLedger(context, async (ledger) => {
    // Before anything is printed.
    await ledger.user(userId);
    const print = printer(flags, output);
    if (print.head !== undefined) await output.line(print.head);
    const query = { userId, order: flags.order, from, to };
    for await (const entry of pages(ledger, query, limit, context.stopping)) {
      await output.line(print.row(entry));
    }
  });
}

async function* pages(
  ledger: Ledger,
  query: Omit<HistoryQuery, "limit" | "after">,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  let after: number | undefined;
  for (let left = limit; left > 0; ) {
    signal.throwIfAborted();
    const page = { ...query, after, limit: Math.min(pageSize, left) };
    const { entries, more } = await ledger.entries(page);
    yield* entries;
    if (!more) return;
    after = entries.at(-1)?.version;
    left -= entries.length;
  }
}

interface Printer {
  readonly head?: string;
  readonly row: (entry: Entry) => string;
}

function printer(flags: HistoryFlags, output: Output): Printer {
  if (flags.json) return { row: (entry) => jsonText(entryView(entry)) };
  if (flags.csv) return { head: csvColumns.join(","), row: csvRow };
  return tablePrinter(output);
}

/** Widths are fixed: the rows to come are not known. They fit amounts up to a hundred million. */
function tablePrinter({ paint }: Output): Printer {
  const row = (version: string, time: string, kind: string, amount: string, balance: string) =>
    `${version.padStart(9)}  ${time.padEnd(24)}  ${kind.padEnd(10)}  ${amount.padStart(14)}  ${balance.padStart(14)}`;
  return {
    head: paint.dim(row("version", "time", "kind", "amount", "balance")),
    row: ({ version, createdAt, kind, amount, balance, reference }) => {
      const signed = `${amount > 0 ? "+" : ""}${grouped(amount)}`;
      const time = createdAt.toISOString();
      const text = row(grouped(version), time, kind, signed, grouped(balance));
      return reference === null ? text : `${text}  ${printable(reference)}`;
    },
  };
}

const csvColumns = [
  ...["version", "createdAt", "kind", "amount", "balance"],
  ...["operationId", "reference", "metadata"],
];

/** RFC 4180, with quotes around each text. */
function csvRow(entry: Entry): string {
  const { version, createdAt, kind, amount, balance, operationId, reference, metadata } = entry;
  return [
    ...[version, createdAt.toISOString(), kind, amount, balance, operationId ?? ""],
    reference === null ? "" : csvText(reference),
    metadata === null ? "" : csvText(JSON.stringify(metadata)),
  ].join(",");
}

/**
 * A cell that a spreadsheet would take for a formula is kept text by a leading apostrophe: also behind blanks, which
 * some pass over, in the wide and small forms that East Asian ones read, and behind a semicolon, which parts cells where
 * a comma is the decimal sign, quotes or none.
 */
function csvText(text: string): string {
  return `"${printable(text).replace(formula, "$1'").replaceAll('"', '""')}"`;
}

const formula =
  /(^|;)(?=\s*[=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a-\u207c\u208a-\u208c])/g;
