/** Lists come in pages, each with the cursor of the next. */
import { encodeCursor } from "./cursor.ts";

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** The Link to the next page (RFC 8288). */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/**
 * @param items of this page
 * @param more whether others follow
 * @param placeOf what the next page goes on behind
 */
export function pageOf<Item>(
  path: string,
  limit: number,
  items: readonly Item[],
  more: boolean,
  placeOf: (last: Item) => Readonly<Record<string, unknown>>,
): Page<Item> {
  const last = items.at(-1);
  if (!more || last === undefined) return { items, nextCursor: null, headers: undefined };
  const nextCursor = encodeCursor(placeOf(last));
  const next = `${path}?limit=${limit}&cursor=${nextCursor}`;
  return { items, nextCursor, headers: { Link: `<${next}>; rel="next"` } };
}
