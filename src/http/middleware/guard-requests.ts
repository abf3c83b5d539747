/**
 * A server on localhost can be reached by any web page that the user opens: by name rebinding (the
 * page's own host name is pointed at 127.0.0.1) and by cross-origin requests. So a server that
 * listens on loopback answers only for loopback names, and a write that a browser sends from
 * another origin is refused. There is no CORS: the API is for programs.
 */
import type { RequestHandler } from "express";
import { sendError } from "../answer.ts";

export function guardRequests(listenHost: string, allowedHosts: readonly string[]): RequestHandler {
  const names = new Set([...loopbackNames, listenHost.toLowerCase(), ...allowedHosts]);
  const checkHost = isLoopback(listenHost);
  let lastHost: string | undefined;
  return (req, res, next) => {
    const host = req.headers.host ?? "";
    if (req.headers.host === undefined && req.httpVersion === "1.1") {
      sendError(res, "INVALID_REQUEST", "The request has no Host header");
      return;
    }
    // Nearly all requests name the host of the one before, which was found right.
    const isKnown = host === lastHost;
    if (!isKnown && !hostShape.test(host)) {
      sendError(res, "INVALID_REQUEST", "The Host header must be a name or an address, and a port");
      return;
    }
    const twice = saidTwice(req.rawHeaders);
    if (twice !== undefined) {
      sendError(res, "INVALID_REQUEST", `The request has two ${twice} headers`);
      return;
    }
    const { expect } = req.headers;
    if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
      sendError(res, "INVALID_REQUEST", "No expectation but 100-continue can be met");
      return;
    }
    if (!isKnown && checkHost && !names.has(withoutPort(host))) {
      const name = JSON.stringify(withoutPort(host).slice(0, 60));
      sendError(
        res,
        "FORBIDDEN_HOST",
        `This server does not answer for the host ${name}; BALANCECTL_ALLOWED_HOSTS can add it`,
      );
      return;
    }
    lastHost = host;
    const { origin } = req.headers;
    if (origin !== undefined && !isRead(req.method)) {
      if (origin !== `http://${host}` && origin !== `https://${host}`) {
        sendError(res, "FORBIDDEN_ORIGIN");
        return;
      }
    }
    // Where a page's policy keeps the Origin back, browsers still say this.
    const site = req.headers["sec-fetch-site"];
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isRead(req.method)) {
      sendError(res, "FORBIDDEN_ORIGIN");
      return;
    }
    next();
  };
}

/** RFC 9110, 7.2: without a user, a path or blanks, whatever a looser parser would take for the host. */
const hostShape = /^(?:\[[\da-f:.]+\]|[^\s:@/?#[\]\\]*)(?::\d{0,5})?$/i;

/** Node keeps the first of two, others the last: whoever stands between may have looked at the other. */
function saidTwice(rawHeaders: readonly string[]): string | undefined {
  let hosts = 0;
  let types = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts += 1;
    else if (name.length === 12 && name.toLowerCase() === "content-type") types += 1;
  }
  return hosts > 1 ? "Host" : types > 1 ? "Content-Type" : undefined;
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

export function isLoopback(host: string): boolean {
  return loopbackNames.includes(host.toLowerCase()) || host.startsWith("127.");
}

const loopbackNames = ["localhost", "127.0.0.1", "[::1]", "::1"];

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  return (colon > host.lastIndexOf("]") ? host.slice(0, colon) : host).toLowerCase();
}
