import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import { idNumber, idText, timeText } from "../../ledger/fields.ts";
import type { HistoryQuery } from "../../ledger/history.ts";
import { entryPage } from "../contract/answers.ts";
import { entriesQuery, entryOrder } from "../contract/requests.ts";
import { entryView } from "../contract/views.ts";
import { decodeCursor } from "../cursor.ts";
import { pageOf } from "../page.ts";
import { ok, route } from "../route.ts";

/** The journal, newest first unless asked otherwise. */
export const listEntries = route({
  name: "entry.list",
  summary: "List a user's entries",
  method: "GET",
  path: "/api/users/:userId/entries",
  scope: "read",
  params: { userId: idText },
  query: entriesQuery,
  answers: { 200: entryPage },
  refusals: ["USER_NOT_FOUND"],
  handle: async ({ params: { userId }, query: { limit, ...asked } }, { ledger }) => {
    const place = continued(userId, asked);
    const { order, from, to, actor } = place;
    const { entries, more } = await ledger.entries({ userId, limit, ...place });
    const { items, nextCursor, headers } = pageOf(
      `/api/users/${userId}/entries`,
      limit,
      entries,
      more,
      ({ version: after }) => ({ entriesOf: userId, order, from, to, actor, after }),
    );
    return ok({ entries: items.map(entryView), nextCursor }, { headers });
  },
});

const position = z.strictObject({
  entriesOf: idNumber,
  order: entryOrder,
  from: timeText.optional(),
  to: timeText.optional(),
  actor: z.string().optional(),
  after: z.int().min(1),
});

type Asked = Omit<z.output<typeof entriesQuery>, "limit">;
type Place = Pick<HistoryQuery, "order" | "from" | "to" | "actor" | "after">;

/** A cursor carries the whole query; what is given beside it must not say something else. */
function continued(userId: number, { cursor, ...asked }: Asked): Place {
  if (asked.from && asked.to && asked.from > asked.to) {
    throw new BalancectlError("INVALID_REQUEST", "from must not be after to");
  }
  if (cursor === undefined) return { ...asked, order: asked.order ?? "desc" };
  const { entriesOf, ...place } = decodeCursor(cursor, position);
  if (entriesOf !== userId) {
    throw new BalancectlError("INVALID_REQUEST", "cursor belongs to the entries of another user");
  }
  for (const field of ["order", "from", "to", "actor"] as const) {
    if (asked[field] !== undefined && String(asked[field]) !== String(place[field])) {
      throw new BalancectlError(
        "INVALID_REQUEST",
        `cursor was given for another ${field}; leave ${field} out or begin again without cursor`,
      );
    }
  }
  return place;
}
