/** Lists that come in pages, as what `for await` takes. */

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null;
}

/** Each item, page after page; nothing is asked before somebody iterates. */
export interface List<Item> extends AsyncIterable<Item> {
  /** The first page alone, or the one at the cursor that was given. */
  page(): Promise<Page<Item>>;
  pages(): AsyncIterableIterator<Page<Item>>;
}

export function listOf<Item>(
  read: (cursor: string | undefined) => Promise<Page<Item>>,
  first: string | undefined,
): List<Item> {
  async function* pages(): AsyncGenerator<Page<Item>, void, undefined> {
    let cursor = first;
    do {
      const page = await read(cursor);
      yield page;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }
  async function* items(): AsyncGenerator<Item, void, undefined> {
    for await (const page of pages()) yield* page.items;
  }
  return { page: () => read(first), pages, [Symbol.asyncIterator]: items };
}
