import type { Ledger } from "../ledger/ledger.ts";
import type { Entries, Entry } from "./shapes.ts";

/** Entries a page: a page is all that is in memory. */
const pageSize = 1_000;

/** A user's journal, newest first unless asked otherwise, read page by page. */
export async function* entriesOf(
  ledger: Pick<Ledger, "entries">,
  userId: number,
  { order = "desc", ...asked }: Entries = {},
): AsyncGenerator<Entry> {
  let after: number | undefined;
  for (;;) {
    const page = { ...asked, userId, order, after, limit: pageSize };
    const { entries, more } = await ledger.entries(page);
    yield* entries;
    if (!more) return;
    after = entries.at(-1)?.version;
  }
}
