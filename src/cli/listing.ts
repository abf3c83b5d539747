/** Lists of any length: read and printed page by page, so that a page is all that is in memory. */
import { columnWidths, type Output, table } from "./output.ts";

/** Rows a page. */
export const pageSize = 1_000;

export interface Page<T> {
  readonly items: readonly T[];
  /** Whether more follow that were not asked for. */
  readonly more: boolean;
}

/**
 * Pages of at most `limit` items in all.
 * @param read at most `count` items behind `after`; from the beginning without it
 */
export async function* pagesOf<T>(
  limit: number,
  read: (after: T | undefined, count: number) => Promise<T[]>,
): AsyncGenerator<Page<T>> {
  let after: T | undefined;
  for (let left = limit; left > 0; ) {
    const size = Math.min(pageSize, left);
    const found = await read(after, size + 1);
    const items = found.slice(0, size);
    const more = found.length > size;
    yield { items, more };
    if (!more) return;
    after = items.at(-1);
    left -= size;
  }
}

export interface Listing<T> {
  /** Of the list in the document of --json. */
  readonly name: string;
  readonly view: (item: T) => object;
  /** What stands beside the list. @param last the last item, if more follow it */
  readonly rest: (last: T | undefined) => object;
  readonly head: readonly string[];
  readonly row: (item: T) => string[];
  /** The columns that hold numbers. */
  readonly right: readonly number[];
  /** Said when there is nothing to list. */
  readonly none: string;
}

/** Prints a table, or one document with --json. @returns the last item, if more follow it */
export async function printListing<T>(
  output: Output,
  pages: AsyncIterable<Page<T>>,
  listing: Listing<T>,
): Promise<T | undefined> {
  const print = output.json ? documentOf(output, listing) : tableOf(output, listing);
  let last: T | undefined;
  for await (const { items, more } of pages) {
    await print.page(items);
    last = more ? items.at(-1) : undefined;
  }
  await print.end(last);
  return last;
}

interface Printer<T> {
  page(items: readonly T[]): Promise<void>;
  end(last: T | undefined): Promise<void>;
}

function documentOf<T>(output: Output, { name, view, rest }: Listing<T>): Printer<T> {
  const list = output.list(name);
  return {
    page: async (items) => {
      for (const item of items) await list.item(view(item));
    },
    end: (last) => list.end(rest(last)),
  };
}

/** Columns are as wide as the first page needs them; what is wider later juts out. */
function tableOf<T>(output: Output, { head, row, right, none }: Listing<T>): Printer<T> {
  let widths: number[] | undefined;
  return {
    page: async (items) => {
      if (items.length === 0) return;
      const rows = items.map(row);
      const all = widths === undefined ? [[...head], ...rows] : rows;
      widths ??= columnWidths(all);
      await output.line(table(all, right, widths));
    },
    end: async () => {
      if (widths === undefined) await output.line(none);
    },
  };
}
