/** Lists come in pages, each with the cursor of the next. */
import { encodeCursor } from "./cursor.ts";

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** The Link to the next page (RFC 8288). */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** A thousand items without metadata have a quarter of it. */
const bytesMax = 1_048_576;

/**
 * Fewer than were asked for where they are large, and one at least.
 * @param found of this page
 * @param more whether others follow
 * @param placeOf what the next page goes on behind
 */
export function pageOf<Item extends object>(
  path: string,
  limit: number,
  found: readonly Item[],
  more: boolean,
  placeOf: (last: Item) => Readonly<Record<string, unknown>>,
): Page<Item> {
  const items = withinBytes(found);
  const last = items.at(-1);
  if ((!more && items.length === found.length) || last === undefined)
    return { items, nextCursor: null, headers: undefined };
  const nextCursor = encodeCursor(placeOf(last));
  const next = `${path}?limit=${limit}&cursor=${nextCursor}`;
  return { items, nextCursor, headers: { Link: `<${next}>; rel="next"` } };
}

function withinBytes<Item extends object>(found: readonly Item[]): readonly Item[] {
  let bytes = 0;
  for (const [index, item] of found.entries()) {
    bytes += sizeOf(item);
    if (bytes > bytesMax && index > 0) return found.slice(0, index);
  }
  return found;
}

/** Of what it says beside numbers and times, about. */
function sizeOf(item: { readonly reference?: unknown; readonly metadata?: unknown }): number {
  const { reference, metadata } = item;
  const text = typeof reference === "string" ? reference.length : 0;
  return 250 + text + (metadata == null ? 0 : JSON.stringify(metadata).length);
}
