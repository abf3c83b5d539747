/**
 * The API described for programs (OpenAPI 3.1), from the table that serves it: what is not here is not served.
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
import { z } from "zod";
import { type AnswerCode, answerMessages } from "../../errors.ts";
import { statusOf } from "../answer.ts";
import type { Route } from "../route.ts";
import { answerHeaders, requestHeaders } from "./headers.ts";

export type Json = { readonly [name: string]: unknown };

/** @param version of the program */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "balancectl",
      version,
      description,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: { Failure: failure, Problem: problem },
      securitySchemes: { token: { type: "http", scheme: "bearer", description: aboutTokens } },
    },
  };
}

function operationOf(route: Route): Json {
  const { name, summary, scope, body, bodyIsOptional, example } = route;
  return {
    operationId: name,
    summary,
    tags: [name.split(".")[0]],
    ...(scope === "public"
      ? { security: [] }
      : { security: [{ token: [] }, {}], "x-scope": scope }),
    parameters: [...pathParameters(route), ...queryParameters(route), ...requestHeaders(route)],
    ...(body && {
      requestBody: {
        required: bodyIsOptional !== true,
        content: {
          "application/json": {
            schema: schemaOf(body, "input"),
            ...(example !== undefined && { example }),
          },
        },
      },
    }),
    responses: { ...answersOf(route), ...failuresOf(route) },
  };
}

function pathParameters({ params = {} }: Route): Json[] {
  return Object.entries(params).map(([name, schema]) => ({
    ...{ name, in: "path", required: true, schema: schemaOf(schema, "input") },
  }));
}

function queryParameters({ query }: Route): Json[] {
  if (!(query instanceof z.ZodObject)) return [];
  return Object.entries(query.shape).map(([name, schema]) => ({
    ...{ name, in: "query", schema: schemaOf(schema as z.ZodType, "input") },
  }));
}

/** What each answer carries, in the envelope that all wear. */
function answersOf(route: Route): Json {
  const answers = Object.entries(route.answers).map(([status, data]) => {
    const content = data && {
      [route.document ?? "application/json"]: {
        schema: route.document === undefined ? enveloped(data) : schemaOf(data, "output"),
      },
    };
    return [
      status,
      {
        description: descriptions[Number(status)] ?? "Done",
        headers: answerHeaders(route, Number(status)),
        ...(content && { content }),
      },
    ];
  });
  return Object.fromEntries(answers);
}

function enveloped(data: z.ZodType): Json {
  return {
    type: "object",
    properties: { success: { const: true }, data: schemaOf(data, "output") },
    required: ["success", "data"],
    additionalProperties: false,
  };
}

const descriptions: Readonly<Record<number, string>> = {
  200: "Done, or found",
  201: "Made",
  304: "What the client has is what there is",
};

/** By status, with the codes that this route may give. */
function failuresOf(route: Route): Json {
  const byStatus = new Map<number, AnswerCode[]>();
  for (const code of codesOf(route)) {
    const status = statusOf[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const failures = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    failures.map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `${code}: ${answerMessages[code]}`).join("; "),
        headers: answerHeaders(route, status),
        content: {
          "application/json": {
            schema: {
              allOf: [{ $ref: "#/components/schemas/Failure" }],
              properties: { error: { properties: { code: { enum: codes } } } },
            },
          },
          "application/problem+json": {
            schema: {
              allOf: [{ $ref: "#/components/schemas/Problem" }],
              properties: { code: { enum: codes } },
            },
          },
        },
      },
    ]),
  );
}

/** Its own, and those that the server gives before or behind it. */
function codesOf({ scope, method, refusals, body }: Route): Set<AnswerCode> {
  const isChange = method !== "GET";
  return new Set<AnswerCode>([
    ...refusals,
    ...(["INVALID_REQUEST", "FORBIDDEN_ORIGIN", "FORBIDDEN_HOST", "HEADERS_TOO_LARGE"] as const),
    ...(["REQUEST_TIMEOUT", "INTERNAL", "OVERLOADED", "DATABASE_UNAVAILABLE"] as const),
    "ACCOUNT_LOCKED",
    ...(scope === "public" ? [] : (["UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED"] as const)),
    ...(isChange ? (["IDEMPOTENCY_KEY_REQUIRED", "OUTCOME_UNKNOWN"] as const) : []),
    ...(body ? (["INVALID_JSON", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"] as const) : []),
  ]);
}

/** What a schema of ours cannot say in JSON Schema, that metadata is storable say, it says in words elsewhere. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  return json;
}

const details = {
  type: "object",
  description: "For programs, by code; a plain change of a balance that is refused has none",
  properties: {
    problems: {
      type: "array",
      description: "INVALID_REQUEST: each thing that is wrong",
      items: {
        type: "object",
        properties: {
          in: { type: "string", description: "body, query, path or a header" },
          field: { type: "string", description: "Like transfers.3.amount" },
          rule: { type: "string" },
        },
        required: ["in", "field", "rule"],
      },
    },
    position: {
      type: "object",
      description: "INVALID_JSON: where it cannot be read",
      properties: {
        offset: { type: "integer" },
        line: { type: "integer" },
        column: { type: "integer" },
      },
      required: ["offset", "line", "column"],
    },
    rule: { enum: ["balance", "minBalance"], description: "Which bound it would go below" },
    balance: { type: "integer" },
    needed: { type: "integer", description: "What the balance must be at least" },
    version: { type: "integer" },
    leg: { type: "integer", description: "Of a batch: the index of the transfer" },
    userId: { type: "integer", description: "Who is not there, or is there already" },
    state: { type: "string", description: "How the hold ended" },
  },
};

const applied = {
  enum: ["no", "unknown"],
  description: "Of a change that failed: whether it was made",
};

/** For who takes application/problem+json: the same, as RFC 9457 has it. */
const problem = {
  type: "object",
  properties: {
    type: { const: "about:blank" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "For people: what was wrong, and what to do" },
    code: { type: "string" },
    applied,
    details,
  },
  required: ["type", "title", "status", "detail", "code"],
};

const failure = {
  type: "object",
  properties: {
    success: { const: false },
    error: {
      type: "object",
      properties: {
        code: { type: "string" },
        message: { type: "string", description: "For people: what was wrong, and what to do" },
        applied,
        details,
      },
      required: ["code", "message"],
    },
  },
  required: ["success", "error"],
};

const description =
  "User balances on PostgreSQL that stay exact under any load. Amounts are whole numbers in minor units. A 503 has changed " +
  "nothing; a 424 is not known; what was sent with an Idempotency-Key may be sent again.";

const aboutTokens =
  "Made by `balancectl token create`. Until one is made, a server on loopback asks for none. x-scope is what a token must be for.";
