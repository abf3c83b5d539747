/** Lets a request in, or answers it that it may not: before its body is read, and before it is looked at any further. */
import { BlockList, isIP } from "node:net";
import type { Request, Response } from "express";
import { type Access, isDenial } from "../access/access.ts";
import { type Caller, holds, mayActFor, type Right } from "../access/caller.ts";
import { sendError } from "./answer.ts";

/** @returns who asks; undefined when the request was answered */
export type Admit = (req: Request, res: Response, right: Right) => Caller | undefined;

/** @param trustedProxies addresses and networks whose X-Forwarded-For is believed */
export function admitting(access: Access, trustedProxies: readonly string[]): Admit {
  const addressOf = addressBehind(trustedProxies);
  return (req, res, right) => {
    const caller = access.ask(req.headers.authorization, () => addressOf(req));
    if (isDenial(caller)) {
      sendError(res, caller.code, caller.message, { ...caller.headers, ...lastOf(req) });
      return undefined;
    }
    if (!holds(caller, right)) {
      const message = `This token may ${caller.right}, and this takes one that may ${right}`;
      sendError(res, "FORBIDDEN", message, lastOf(req));
      return undefined;
    }
    return caller;
  };
}

/** @param userIds whom the request is about; "everybody" where it is about whoever there is */
export function isForOthers(caller: Caller, userIds: readonly number[] | "everybody"): boolean {
  if (caller.userIds === null) return false;
  return userIds === "everybody" || !userIds.every((id) => mayActFor(caller, id));
}

/** Who waits to be told to go on with a body may send it all the same, or not: nobody knows what comes next. */
function lastOf(req: Request): Readonly<Record<string, string>> {
  return req.headers.expect === undefined ? {} : { Connection: "close" };
}

/** The nearest address that is no proxy of ours: what is further away may be made up. */
function addressBehind(trustedProxies: readonly string[]): (req: Request) => string {
  const trusted = new BlockList();
  for (const one of trustedProxies) {
    const [address = "", bits] = one.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(bits), family);
  }
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return ({ socket, headers }) => {
    let address = plain(socket.remoteAddress ?? "");
    const via = String(headers["x-forwarded-for"] ?? "").split(",");
    while (isTrusted(address)) {
      const before = plain(via.pop()?.trim() ?? "");
      if (isIP(before) === 0) break;
      address = before;
    }
    return address;
  };
}

/** An IPv4 address as such, where a socket for both has it as one of IPv6. */
function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
