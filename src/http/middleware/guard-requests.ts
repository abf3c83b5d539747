/**
 * A server can be reached by any web page that somebody near it opens: by name rebinding (the page's own host
 * name is pointed at this machine) and by cross-origin requests. So it answers only for names that it has been
 * given and for the address that was connected to, and what a browser sends from another origin is refused unless
 * that origin was named.
 */
import type { Request, RequestHandler, Response } from "express";
import { printable } from "../../printable.ts";
import { sendError, sendWithoutBody } from "../answer.ts";

export interface GuardOptions {
  /** Where the server listens. */
  readonly host: string;
  readonly allowedHosts: readonly string[];
  /** Of pages elsewhere that may use it, like "https://app.example". */
  readonly allowedOrigins: readonly string[];
}

/** @param isOpen whether requests without a token are answered */
export function guardRequests(options: GuardOptions, isOpen: () => boolean): RequestHandler {
  const names = new Set([...loopbackNames, options.host.toLowerCase(), ...options.allowedHosts]);
  const origins = new Set(options.allowedOrigins);
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
    if (!isKnown && !names.has(withoutPort(host)) && !isAddressOf(req, withoutPort(host))) {
      const name = printable(JSON.stringify(withoutPort(host).slice(0, 60)));
      sendError(
        res,
        "FORBIDDEN_HOST",
        `This server does not answer for the host ${name}; BALANCECTL_ALLOWED_HOSTS can add it`,
      );
      return;
    }
    lastHost = host;
    const { origin, "sec-fetch-site": site } = req.headers;
    if (origin === undefined && site === undefined) {
      next();
      return;
    }
    if (origin !== undefined && origins.has(origin)) answerOrigin(req, res, origin, next);
    else if (isFromElsewhere(req, host, isOpen)) sendError(res, "FORBIDDEN_ORIGIN");
    else next();
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

/** The address that the client connected to is no name, and cannot be pointed elsewhere. */
function isAddressOf({ socket }: Request, name: string): boolean {
  const address = (socket.localAddress ?? "").replace(/^::ffff:/, "").toLowerCase();
  return address !== "" && (name === address || name === `[${address}]`);
}

/**
 * Writes are refused to other origins, by the Origin or, where a page's policy keeps that back, by what browsers still
 * say; reads too where nobody is asked for a token, unless a person has followed a link.
 */
function isFromElsewhere({ method, headers }: Request, host: string, isOpen: () => boolean) {
  const { origin, "sec-fetch-site": site, "sec-fetch-mode": mode } = headers;
  const isAcross = site !== undefined && site !== "same-origin" && site !== "none";
  if (isRead(method)) return isAcross && mode !== "navigate" && isOpen();
  return isAcross || (origin !== undefined && !isOriginOf(host, origin));
}

function isOriginOf(host: string, origin: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}

/** CORS: https://fetch.spec.whatwg.org/#http-cors-protocol */
function answerOrigin(req: Request, res: Response, origin: string, next: () => void): void {
  const allowed = { "Access-Control-Allow-Origin": origin, Vary: "Origin" };
  if (req.method === "OPTIONS" && req.headers["access-control-request-method"] !== undefined) {
    sendWithoutBody(res, 204, { ...allowed, ...preflight });
    return;
  }
  res.setHeader("Access-Control-Allow-Origin", origin);
  res.setHeader("Vary", "Origin");
  res.setHeader("Access-Control-Expose-Headers", exposed);
  next();
}

const preflight = {
  "Access-Control-Allow-Methods": "GET, POST, PUT",
  "Access-Control-Allow-Headers":
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, traceparent, X-Request-Id",
  "Access-Control-Max-Age": "600",
};
const exposed = "ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Request-Id";

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

const loopbackNames = ["localhost", "127.0.0.1", "[::1]", "::1"];

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  return (colon > host.lastIndexOf("]") ? host.slice(0, colon) : host).toLowerCase();
}
