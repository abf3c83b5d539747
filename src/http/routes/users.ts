import type { Express, Request, Response } from "express";
import { z } from "zod";
import { BalancectlError } from "../../errors.ts";
import {
  balanceAmount,
  idNumber,
  metadata,
  pageLimit,
  parseRequest,
  reference,
  timeText,
} from "../../ledger/fields.ts";
import type { User } from "../../ledger/reads.ts";
import { opening } from "../../ledger/request.ts";
import { sendData, sendNotModified } from "../answer.ts";
import { type Api, answeredRefusal, methodNotAllowed, pathId, writeOptions } from "../api.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { entityTag, namesTag } from "../headers.ts";
import { readJsonBody } from "../json-body.ts";

const openingBody = z.strictObject({
  id: idNumber.optional(),
  balance: balanceAmount.default(0),
  reference: reference.optional(),
  metadata: metadata.optional(),
});
const listQuery = z.strictObject({ limit: pageLimit, cursor: z.string().optional() });
const listPosition = z.strictObject({ users: z.literal("id"), after: idNumber });
const userQuery = z.strictObject({ at: timeText.optional() });

/** POST /api/users, GET /api/users, GET /api/users/:userId. */
export function userRoutes(app: Express, api: Api): void {
  const { ledger } = api;
  app
    .route("/api/users")
    .post(async (req, res) => {
      const { id, balance, ...context } = parseRequest(
        openingBody,
        await readJsonBody(req, api.bodyBytesMax),
        "body",
      );
      const options = writeOptions(req, context, { creates: true });
      const outcome = await ledger.openUser({ id, balance }, options);
      const userId = outcome.createdUserId ?? id ?? 0;
      if (answeredRefusal(res, opening(userId, balance, id), outcome)) return;
      sendData(res, { id: userId, balance }, 201, { Location: `/api/users/${userId}` });
    })
    .get(async (req, res) => {
      const { limit, cursor } = parseRequest(listQuery, req.query, "query");
      const { after } = cursor === undefined ? { after: 0 } : decodeCursor(cursor, listPosition);
      const found = await ledger.users(after, limit + 1);
      const users = found.slice(0, limit);
      const last = users.at(-1);
      const nextCursor =
        found.length > limit && last ? encodeCursor({ users: "id", after: last.id }) : null;
      if (nextCursor)
        res.setHeader("Link", `</api/users?limit=${limit}&cursor=${nextCursor}>; rel="next"`);
      sendData(res, { users: users.map(userView), nextCursor });
    })
    .all(methodNotAllowed("GET, HEAD, POST"));

  app
    .route("/api/users/:userId")
    .get(async (req, res) => {
      const userId = pathId(req);
      const { at } = parseRequest(userQuery, req.query, "query");
      if (at === undefined) sendUser(req, res, await ledger.user(userId));
      else {
        const balance = await ledger.balanceAt(userId, at);
        sendData(res, { id: userId, balance, at: at.toISOString() });
      }
    })
    .all(methodNotAllowed("GET, HEAD"));
}

/** As the tag of its version allows (RFC 9110, 13.2.2). */
function sendUser(req: Request, res: Response, { id, balance, version }: User): void {
  const { "if-match": match, "if-none-match": noneMatch } = req.headers;
  const tag = entityTag(version);
  if (match !== undefined && !namesTag(match, tag))
    throw new BalancectlError("PRECONDITION_FAILED");
  if (noneMatch !== undefined && namesTag(noneMatch, tag)) sendNotModified(res, tag);
  else sendData(res, { id, balance }, 200, { ETag: tag });
}

function userView({ id, balance, held, version, createdAt }: User): object {
  return { id, balance, held, version, createdAt: createdAt.toISOString() };
}
