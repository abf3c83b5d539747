/**
 * The API in memory, honest unless told otherwise: `wrong` turns on one way of being wrong. The
 * stress run under test must find each of them out.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Wrong answers, given without looking at the user and without changing anything. */
const instead = {
  overloaded: (call: Call) => refuse(call.response, 503, "OVERLOADED"),
  refusesTooEarly: (call: Call) => refuse(call.response, 422, "INSUFFICIENT_FUNDS"),
  refusesWithOtherCode: (call: Call) => refuse(call.response, 422, "BALANCE_LIMIT_EXCEEDED"),
  refusesUnder400: (call: Call) => refuse(call.response, 400, "INSUFFICIENT_FUNDS"),
  escapeCode: (call: Call) => refuse(call.response, 500, "\u001b[2JCLEARED"),
  newCodeEachTime: (call: Call) => refuse(call.response, 500, `CODE_${call.number}`),
  htmlError: (call: Call) => call.response.writeHead(502).end("<html>Bad gateway</html>"),
  resetsBefore: (call: Call) => call.request.socket.resetAndDestroy(),
  hangsBefore: () => undefined,
  notHttp: (call: Call) => call.request.socket.end("SMTP ready\r\n"),
  goesAway: (call: Call) => (call.number > 1 ? call.stop() : send(call.response, 200, call.data)),
  sellsBelowZero: (call: Call) =>
    send(call.response, 200, { ...call.data, balance: call.data.amount, previousBalance: 0 }),
};

/** Wrong ways to make a change that is answered as it should be. */
const apply = {
  debitsSomebodyElse: (_user: User, amount: number, somebodyElse: User | undefined) => {
    if (somebodyElse) append(somebodyElse, amount);
  },
  succeedsWithoutDebit: () => undefined,
  debitsTwice: (user: User, amount: number) => {
    append(user, amount);
    append(user, amount);
  },
  debitsWithoutEntry: (user: User, amount: number) => {
    user.balance += amount;
  },
};

/** Wrong ways to answer a change that was made. */
const afterwards = {
  resetsAfter: (call: Call) => call.request.socket.resetAndDestroy(),
  hangsAfter: () => undefined,
  cutsAnswerShort: (call: Call) => {
    call.response.writeHead(200, { "content-length": 500 }).write('{"success":true,');
    setTimeout(() => call.request.socket.end(), 5);
  },
  brokenJson: (call: Call) => call.response.writeHead(200).end('{"success":true,"data":{"id":'),
  successFalse: (call: Call) =>
    call.response.writeHead(200).end(JSON.stringify({ success: false, data: call.data })),
  created201: (call: Call) => send(call.response, 201, call.data),
  wrongId: (call: Call) => send(call.response, 200, { ...call.data, id: call.data.id + 1 }),
  wrongAmount: (call: Call) =>
    send(call.response, 200, { ...call.data, amount: call.data.amount - 1 }),
  wrongPreviousBalance: (call: Call) =>
    send(call.response, 200, { ...call.data, previousBalance: call.data.previousBalance + 1 }),
};

/** Wrong ways to show a journal, oldest entry first. */
const tamper = {
  forgetsEntry: ([first, _second, ...rest]: Entry[]) => (first ? [first, ...rest] : []),
  duplicatesVersion: ([first, second, ...rest]: Entry[]) =>
    first && second ? [first, second, second, ...rest] : [],
  wrongEntryBalance: ([first, second, ...rest]: Entry[]) =>
    first && second ? [first, { ...second, balance: second.balance + 1 }, ...rest] : [],
  wrongEntryAmount: ([first, second, ...rest]: Entry[]) =>
    first && second ? [first, { ...second, amount: second.amount - 1 }, ...rest] : [],
};

export type Wrong =
  | keyof typeof instead
  | keyof typeof apply
  | keyof typeof afterwards
  | keyof typeof tamper
  | "hidesBalance"
  | "endlessJournal"
  | "noJournal"
  | "closesEachConnection";

interface Entry {
  version: number;
  amount: number;
  balance: number;
  kind: string;
  createdAt: string;
}

interface User {
  id: number;
  balance: number;
  entries: Entry[];
}

/** One withdrawal: the `number`th to arrive, with the data of an honest answer. */
interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly number: number;
  readonly data: { id: number; balance: number; previousBalance: number; amount: number };
  readonly stop: () => void;
}

/** A time, by performance.now(), in which withdrawals arrived and none was looked at. */
export interface Stall {
  readonly from: number;
  readonly until: number;
  /** How many arrived in it. */
  held: number;
}

export interface FakeServer {
  readonly url: string;
  /** Withdrawals that arrived, whatever was done with them. */
  readonly received: () => number;
  readonly user: (id: number) => User;
  readonly addUser: (balance: number, entries: number) => number;
  /** The `number`th withdrawal and all that arrive in the `ms` after it wait until they are over. */
  readonly stallAt: (number: number, ms: number) => void;
  /** The stall that was; throws where none has begun. */
  readonly stall: () => Stall;
  readonly close: () => Promise<void>;
}

/**
 * Every `every`th withdrawal is treated wrongly, beginning with the first; where `onlyUser` is
 * given, everything else about that user too and nothing about the others.
 */
export async function startServer(
  wrong?: Wrong,
  every = 10,
  onlyUser?: number,
): Promise<FakeServer> {
  const users = new Map<number, User>();
  let received = 0;
  let stallAt = { number: 0, ms: 0 };
  let stall: Stall | undefined;
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };

  const addUser = (balance: number, entries: number): number => {
    const user: User = { id: users.size + 1, balance: 0, entries: [] };
    if (entries > 0) append(user, balance + entries - 1);
    for (let i = 1; i < entries; i++) append(user, -1);
    users.set(user.id, user);
    return user.id;
  };
  /** Until the stall is over; undefined where there is none, and then nothing may be awaited. */
  const held = (number: number): Promise<void> | undefined => {
    const now = performance.now();
    if (number === stallAt.number) stall = { from: now, until: now + stallAt.ms, held: 0 };
    if (!stall || now >= stall.until) return undefined;
    stall.held++;
    return waitUntil(stall.until);
  };
  const userOf = (id: number) => users.get(id) ?? { id: 0, balance: 0, entries: [] };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://server");
    const match = /^\/(?:prefix\/)?api\/users(?:\/(\d+))?(\/\w+)?$/.exec(url.pathname);
    void readBody(request).then(async (body) => {
      if (url.pathname === "/healthz") return send(response, 200, { service: "balancectl" });
      if (request.method === "POST") {
        const id = addUser(body["balance"] as number, body["balance"] ? 1 : 0);
        return send(response, 201, { id, balance: body["balance"] });
      }
      const user = users.get(Number(match?.[1]));
      if (!user) return refuse(response, 404, "USER_NOT_FOUND");
      const wrongNow = onlyUser === undefined || user.id === onlyUser ? wrong : undefined;
      if (match?.[2] === "/entries") return sendEntries(response, user, url.searchParams, wrongNow);
      if (request.method === "GET") return send(response, 200, visibleUser(user, wrongNow));
      const number = ++received;
      const stalled = held(number);
      if (stalled) await stalled;
      const isWrong = (number - 1) % every === 0;
      const { id, balance: previousBalance } = user;
      const amount = body["amount"] as number;
      const data = { id, balance: previousBalance + amount, previousBalance, amount };
      const call = { request, response, number, data, stop };
      withdraw(call, user, users.get(id - 1), isWrong ? wrongNow : undefined);
    });
  });
  if (wrong === "closesEachConnection") server.maxRequestsPerSocket = 1;
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => received,
    user: userOf,
    addUser,
    stallAt: (number, ms) => {
      stallAt = { number, ms };
    },
    stall: () => {
      if (!stall) throw new Error("there was no stall");
      return stall;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Never early, as a timer alone may be. */
async function waitUntil(time: number): Promise<void> {
  while (performance.now() < time) await sleep(Math.max(time - performance.now(), 1));
}

function append(user: User, amount: number): void {
  user.balance += amount;
  const version = user.entries.length + 1;
  const createdAt = new Date(0).toISOString();
  user.entries.push({ version, amount, balance: user.balance, kind: "adjustment", createdAt });
}

function withdraw(
  call: Call,
  user: User,
  somebodyElse: User | undefined,
  wrong: Wrong | undefined,
): void {
  const { response, data } = call;
  if (isKeyOf(instead, wrong)) {
    instead[wrong](call);
  } else if (data.balance < 0) {
    refuse(response, 422, "INSUFFICIENT_FUNDS");
  } else if (isKeyOf(apply, wrong)) {
    apply[wrong](user, data.amount, somebodyElse);
    send(response, 200, data);
  } else {
    append(user, data.amount);
    if (isKeyOf(afterwards, wrong)) afterwards[wrong](call);
    else send(response, 200, data);
  }
}

function isKeyOf<T extends object>(table: T, key: string | undefined): key is keyof T & string {
  return key !== undefined && Object.hasOwn(table, key);
}

function visibleUser({ id, balance }: User, wrong: Wrong | undefined) {
  return { id, balance: wrong === "hidesBalance" && balance < 50 ? balance + 1 : balance };
}

function sendEntries(
  response: ServerResponse,
  user: User,
  query: URLSearchParams,
  wrong: Wrong | undefined,
): void {
  const limit = Number(query.get("limit"));
  if (wrong === "noJournal" && limit > 1) {
    refuse(response, 503, "DATABASE_UNAVAILABLE");
    return;
  }
  const journal = limit > 1 && isKeyOf(tamper, wrong) ? tamper[wrong](user.entries) : user.entries;
  const end = Number(query.get("cursor") ?? journal.length);
  const start = Math.max(0, end - limit);
  const next = wrong === "endlessJournal" && limit > 1 ? journal.length : start;
  const entries = journal.slice(start, end).reverse();
  send(response, 200, { entries, nextCursor: next > 0 ? String(next) : null });
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
}

function send(response: ServerResponse, status: number, data: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ success: true, data }));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ success: false, error: { code, message: "refused" } }));
}
