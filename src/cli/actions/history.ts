import type { Entry } from "../../client/shapes.ts";
import { BalancectlError } from "../../errors.ts";
import { printable } from "../../printable.ts";
import { withAccounts } from "../accounts/with-accounts.ts";
import type { HistoryFlags } from "../commands/history.ts";
import type { Context } from "../context.ts";
import { grouped, jsonText, type Output } from "../output.ts";
import { readMoment } from "../times.ts";

/** Prints a user's journal as a table, as NDJSON (--json) or as CSV, page by page. */
export async function history(
  context: Context,
  userId: number,
  flags: HistoryFlags,
): Promise<void> {
  const { output } = context;
  const now = Date.now();
  const from = flags.from === undefined ? undefined : readMoment(flags.from, "--from", now);
  const to = flags.to === undefined ? undefined : readMoment(flags.to, "--to", now);
  if (from && to && from > to) {
    throw new BalancectlError("INVALID_REQUEST", "--from must not be after --to");
  }
  const limit = flags.limit ?? Number.POSITIVE_INFINITY;
  await withAccounts(context, flags, async (accounts) => {
    // Before anything is printed.
    await accounts.user(userId);
    const print = printer(flags, output);
    if (print.head !== undefined) await output.line(print.head);
    const span = { order: flags.order, from, to };
    for await (const { items } of accounts.entries(userId, span, limit)) {
      for (const entry of items) await output.line(print.row(entry));
    }
  });
}

interface Printer {
  readonly head?: string;
  readonly row: (entry: Entry) => string;
}

function printer(flags: HistoryFlags, output: Output): Printer {
  if (flags.json) return { row: (entry) => jsonText(entry) };
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
      const text = row(grouped(version), createdAt, kind, signed, grouped(balance));
      return reference === undefined ? text : `${text}  ${printable(reference)}`;
    },
  };
}

const csvColumns = [
  ...["version", "createdAt", "kind", "amount", "balance"],
  ...["operationId", "reference", "metadata"],
];

/** RFC 4180, with quotes around each text. */
function csvRow(entry: Entry): string {
  const { version, createdAt, kind, amount, balance, reference, metadata } = entry;
  return [
    ...[version, createdAt, kind, amount, balance, entry.transferId ?? entry.holdId ?? ""],
    reference === undefined ? "" : csvText(reference),
    metadata === undefined ? "" : csvText(JSON.stringify(metadata)),
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
