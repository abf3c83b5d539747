import type { Express } from "express";
import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import { entryView } from "../../ledger/entry-view.ts";
import { idNumber, pageLimit, parseRequest, timeText } from "../../ledger/fields.ts";
import type { HistoryQuery } from "../../ledger/history.ts";
import { sendData } from "../answer.ts";
import { type Api, methodNotAllowed, pathId } from "../api.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";

const order = z.enum(["asc", "desc"], { error: "must be asc or desc" });
const entriesQuery = z.strictObject({
  limit: pageLimit,
  cursor: z.string().optional(),
  order: order.optional(),
  from: timeText.optional(),
  to: timeText.optional(),
});
const versionNumber = z.int().min(1);
const position = z.strictObject({
  entriesOf: idNumber,
  order,
  from: timeText.optional(),
  to: timeText.optional(),
  after: versionNumber,
});

/** GET /api/users/:userId/entries: the journal, newest first unless asked otherwise. */
export function entryRoutes(app: Express, api: Api): void {
  app
    .route("/api/users/:userId/entries")
    .get(async (req, res) => {
      const userId = pathId(req);
      const { limit, ...asked } = parseRequest(entriesQuery, req.query, "query");
      const query = { userId, limit, ...continued(userId, asked) };
      const { entries, more } = await api.ledger.entries(query);
      const last = entries.at(-1);
      const nextCursor = more && last ? cursorAfter(query, last.version) : null;
      if (nextCursor) {
        const next = `/api/users/${userId}/entries?limit=${limit}&cursor=${nextCursor}`;
        res.setHeader("Link", `<${next}>; rel="next"`);
      }
      sendData(res, { entries: entries.map(entryView), nextCursor });
    })
    .all(methodNotAllowed("GET, HEAD"));
}

type Asked = Omit<z.output<typeof entriesQuery>, "limit">;
type Place = Pick<HistoryQuery, "order" | "from" | "to" | "after">;

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
  for (const field of ["order", "from", "to"] as const) {
    if (asked[field] !== undefined && String(asked[field]) !== String(place[field])) {
      throw new BalancectlError(
        "INVALID_REQUEST",
        `cursor was given for another ${field}; leave ${field} out or begin again without cursor`,
      );
    }
  }
  return place;
}

function cursorAfter({ userId, order, from, to }: HistoryQuery, after: number): string {
  return encodeCursor({ entriesOf: userId, order, from, to, after });
}
