/** What a request is called: in its answer and in the log, so that one leads to the other. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";

/** The field of a response; see the class in server.ts. */
export interface Named {
  requestId: string;
}

/** The client's X-Request-Id where it can be passed on, otherwise one of ours. The same for each call. */
export function requestIdOf(res: ServerResponse): string {
  const named = res as ServerResponse & Named;
  if (named.requestId === "") named.requestId = given(res.req.headers) ?? newRequestId();
  return named.requestId;
}

let prefix: string | undefined;
let count = 0;

/** Random once a process, and then counted: for each request random bytes would cost more than all else here. */
export function newRequestId(): string {
  prefix ??= randomBytes(8).toString("hex");
  count += 1;
  return `${prefix}-${count.toString(36)}`;
}

/** For lines of the log: the request, and the trace that it is a part of. */
export function namesOf(res: ServerResponse): { requestId: string; traceId?: string } {
  const traceId = traceIdOf(res.req.headers);
  return { requestId: requestIdOf(res), ...(traceId !== undefined && { traceId }) };
}

/** Visible ASCII: it goes into a header and into a log. Two of them have a blank between them. */
const visible = /^[\x21-\x7e]{1,128}$/;

function given({ "x-request-id": id }: IncomingHttpHeaders): string | undefined {
  return typeof id === "string" && visible.test(id) ? id : undefined;
}

/** https://www.w3.org/TR/trace-context/#traceparent-header-field-values: ff is no version, and nothing has trace 0. */
const traceparentShape =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(-|$)/;

function traceIdOf({ traceparent }: IncomingHttpHeaders): string | undefined {
  return typeof traceparent === "string" ? traceparentShape.exec(traceparent)?.[1] : undefined;
}
