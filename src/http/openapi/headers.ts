/** The headers of requests and answers, as OpenAPI describes them. */
import type { Route } from "../route.ts";
import type { Json } from "./document.ts";

/** What a route minds beside what HTTP has of its own. */
export function requestHeaders({ method, name }: Route): Json[] {
  if (method !== "GET") return [idempotencyKey, ifMatch];
  return name === "user.get" ? [ifMatch, ifNoneMatch] : [];
}

export function answerHeaders({ name, method, answers }: Route, status: number): Json {
  const data = answers[status];
  const isPage = typeof data === "object" && data !== null && name.endsWith(".list");
  return {
    ...((status === 503 || status === 429) && { "Retry-After": retryAfter }),
    ...(status === 401 && { "WWW-Authenticate": challenge }),
    ...(status === 201 && name !== "transfer.batch" && { Location: location }),
    ...(status < 500 && method !== "GET" && { "Idempotent-Replayed": replayed }),
    ...((name === "user.get" || name === "balance.adjust") &&
      (status === 200 || status === 304) && { ETag: etag }),
    ...(isPage && { Link: link }),
  };
}

const text = (description: string) => ({ description, schema: { type: "string" } });
const header = (name: string, description: string, pattern: string) => ({
  ...{ name, in: "header", description, schema: { type: "string", pattern } },
});

const idempotencyKey = header(
  "Idempotency-Key",
  "Sent again with the same request, it gives the first one's answer and changes nothing.",
  "^[\\x21-\\x7e]{1,255}$",
);
const ifMatch = header(
  "If-Match",
  "Only if the user is at this version: the ETag of GET.",
  '^(\\*|(W/)?"v\\d+")$',
);
const ifNoneMatch = header("If-None-Match", "304 if the user is at this version.", "^.+$");
const retryAfter = text("Seconds");
const challenge = text('Bearer realm="balancectl"');
const location = text("Where what was made can be read");
const replayed = text("true where an Idempotency-Key had the answer");
const etag = text('The version of the user, like "v12"');
const link = text('The next page: <...>; rel="next"');
