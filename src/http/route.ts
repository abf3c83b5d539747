/**
 * A route as data: what it is called, what it takes, what it answers, and a handler that returns its
 * answer as a value. registerRoutes() makes Express's routes of them; documents, checks of rights, counts
 * and log lines are made of the same table.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { z } from "zod";
import type { Access } from "../access/access.ts";
import type { Caller, Right } from "../access/caller.ts";
import { type AnswerCode, answerMessages } from "../errors.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Operation, Refused } from "../ledger/operation.ts";
import { explainRefusal } from "../ledger/refusal.ts";

/** Who may ask: everybody, or whoever has this right. */
export type Scope = "public" | Right;

export type Method = "GET" | "POST" | "PUT";

/** What handlers stand on. */
export interface Api {
  readonly ledger: Ledger;
  /** Null when the server can do its work, otherwise why it cannot. */
  readonly notReady: () => Promise<string | null>;
  readonly access: Access;
  /** The API described for programs. */
  readonly describe: () => Readonly<Record<string, unknown>>;
  /** What is counted and measured, as text. */
  readonly metrics: () => Promise<string>;
}

/** Told of each answer of a route. */
export interface RouteTimer {
  answered(status: number, ms: number): void;
}

export interface RouteDefinition<
  Params extends Schemas,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answers extends AnswerSchemas,
> {
  /** What it does, like "balance.adjust": for logs, counts and documents. */
  readonly name: string;
  /** What it does, for people. */
  readonly summary: string;
  readonly method: Method;
  /** As Express writes it: /api/users/:userId */
  readonly path: string;
  readonly scope: Scope;
  /** Whom it is about, where the path does not say it: a token for some users is for no others. */
  readonly concerns?: Concerns<z.output<Body>>;
  /** By the name that stands in the path. */
  readonly params?: Params;
  /** None: a query is refused. "any": it means nothing, and is not minded. */
  readonly query?: Query | "any";
  /** None: a body is not read. */
  readonly body?: Body;
  /** A body that can be sent as it stands. */
  readonly example?: z.input<Body>;
  /** No body stands for {}. */
  readonly bodyIsOptional?: boolean;
  /** What it makes must not exist, whatever the headers say: If-None-Match: * asks for no more. */
  readonly creates?: boolean;
  /** Its answer is no envelope but a document of this media type. */
  readonly document?: "application/json" | "text/plain";
  /** What answers carry, by status; null where they carry nothing. */
  readonly answers: Answers;
  /** What it may refuse for reasons of its own, beside what any route may. */
  readonly refusals: readonly AnswerCode[];
  /** @throws BalancectlError for what is no answer of this route: failures, and requests that are not valid */
  readonly handle: (
    request: RouteRequest<ValuesOf<Params>, z.output<Query>, z.output<Body>>,
    api: Api,
  ) => Promise<AnswerOf<Answers> | RefusedAnswer>;
}

/**
 * Those who pay for what a body asks; "answer", where the handler finds it out and asks the caller itself. Without it,
 * and without a user in the path, a route is about everybody.
 */
export type Concerns<Body> = ((body: Body) => readonly number[]) | "answer";

/** A route whose types are checked and forgotten. */
export type Route = RouteDefinition<Schemas, z.ZodType, z.ZodType, AnswerSchemas>;

export function route<
  Params extends Schemas,
  Query extends z.ZodType,
  Body extends z.ZodType,
  const Answers extends AnswerSchemas,
>(definition: RouteDefinition<Params, Query, Body, Answers>): Route {
  return definition as unknown as Route;
}

export interface RouteRequest<Params = unknown, Query = unknown, Body = unknown> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly headers: IncomingHttpHeaders;
  /** Of a change: what its headers ask for; undefined when nothing. */
  readonly conditions: Conditions | undefined;
  readonly caller: Caller;
}

/** What a change carries beside its body. */
export interface Conditions {
  readonly idempotencyKey: string | undefined;
  readonly ifVersion: number | undefined;
  /** See Operation. */
  readonly actor: number | undefined;
  readonly client: number | undefined;
}

/** An answer of a route: it has done, or found, what was asked. */
export interface Answer<Status extends number = number, Data = unknown> {
  readonly status: Status;
  readonly data: Data;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** An idempotency key had the answer; a header says so. */
  readonly replayed?: boolean;
}

type More = Omit<Answer, "status" | "data">;

export function ok<Data>(data: Data, more: More = {}): Answer<200, Data> {
  return { status: 200, data, ...more };
}

/** @param location where what was made can be read */
export function created<Data>(data: Data, location: string | undefined, replayed: boolean) {
  const headers = location === undefined ? undefined : { Location: location };
  return { status: 201, data, headers, replayed } satisfies Answer as Answer<201, Data>;
}

/** What the client has is what there is. */
export function notModified(headers: Readonly<Record<string, string>>): Answer<304, null> {
  return { status: 304, data: null, headers };
}

/** No, and nothing was changed. */
export interface RefusedAnswer {
  readonly code: AnswerCode;
  readonly message: string;
  readonly replayed?: boolean;
  /** What the ledger said, and to what: details are made of it where they are shown. */
  readonly outcome?: Refused;
  readonly operation?: Operation;
}

export type AnyAnswer = Answer | RefusedAnswer;

export function refused(code: AnswerCode, message: string = answerMessages[code]): RefusedAnswer {
  return { code, message };
}

/** What the ledger said no to. */
export function refusedBy(outcome: Refused, operation: Operation): RefusedAnswer {
  const { code, message } = explainRefusal(outcome, operation);
  return { code, message, replayed: outcome.replayed, outcome, operation };
}

/** What a change carries in its body, with what its headers ask for. */
export function withConditions<Context extends object>(
  context: Context,
  conditions: Conditions | undefined,
): Context & Partial<Conditions> {
  return conditions === undefined ? context : { ...context, ...conditions };
}

type Schemas = Readonly<Record<string, z.ZodType>>;
type ValuesOf<S extends Schemas> = { readonly [Name in keyof S]: z.output<S[Name]> };

type AnswerSchemas = Readonly<Record<number, z.ZodType | null>>;
type AnswerOf<S extends AnswerSchemas> = {
  readonly [Status in keyof S & number]: Answer<
    Status,
    S[Status] extends z.ZodType ? z.input<S[Status]> : null
  >;
}[keyof S & number];
