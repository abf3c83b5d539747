/** The API described for programs: valid, whole, and what the server does. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { type Json, openApiDocument } from "../../src/http/openapi/document.ts";
import { routes } from "../../src/http/routes/all.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const { url } = await serveInProcess(await createTestDatabase());
const { body: served } = await exchange(url, { path: "/openapi.json" });
const document = served as unknown as {
  paths: Record<string, Record<string, Operation>>;
};

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { name: string; in: string; required?: boolean }[];
  readonly requestBody?: { content: Record<string, { schema: Json; example?: unknown }> };
  readonly responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

test("is valid, and the same as the command prints", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document) as never);
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  expect(validator.version).toBe("3.1");
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument(routes, "0.1.0"))));
});

test("has each route, with what it takes and gives", () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
  );
  const expected = routes.map(
    ({ name, method, path }) =>
      `${name} ${method.toLowerCase()} ${path.replace(/:(\w+)/g, "{$1}")}`,
  );
  expect(operations.sort()).toEqual(expected.sort());
  const metrics = document.paths["/metrics"]?.["get"] as Operation;
  expect(metrics.responses["200"]?.content).toEqual({
    "text/plain": { schema: { type: "string" } },
  });
  const adjust = document.paths["/api/users/{userId}/balance"]?.["put"] as Operation;
  expect(adjust.parameters.map(({ name }) => name)).toEqual([
    "userId",
    "Idempotency-Key",
    "If-Match",
  ]);
  expect(Object.keys(adjust.responses)).toEqual([
    ...["200", "400", "401", "403", "404", "408", "412", "413", "415", "421", "422", "424", "428"],
    ...["429", "431", "500", "503"],
  ]);
  expect(adjust.responses["422"]?.content?.["application/json"]?.schema).toMatchObject({
    properties: {
      error: {
        properties: {
          code: {
            enum: ["INSUFFICIENT_FUNDS", "BALANCE_LIMIT_EXCEEDED", "IDEMPOTENCY_KEY_REUSED"],
          },
        },
      },
    },
  });
  expect(adjust.requestBody?.content["application/json"]?.schema).toMatchObject({
    ...{ required: ["amount"], additionalProperties: false },
    properties: { amount: { type: "integer" }, reference: { maxLength: 255 } },
  });
});

describe("each example", () => {
  const json = { "content-type": "application/json" };
  const send = (method: string, path: string, body: unknown) =>
    exchange<{ id: string }>(url, { method, path, headers: json, body: JSON.stringify(body) });

  const examples = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { operationId, requestBody }]) => {
      const example = requestBody?.content["application/json"]?.example;
      return requestBody ? [{ operationId, method: method.toUpperCase(), path, example }] : [];
    }),
  );

  test.each(examples)("$operationId is done as it stands", async ({ method, path, example }) => {
    expect(example).toBeDefined();
    const opened = await send("POST", "/api/users", { balance: 0 });
    expect(opened.status).toBe(201);
    const { body } = await send("POST", "/api/users/1/holds", { amount: 40 });
    const where = path.replace("{userId}", "1").replace("{holdId}", String(body.data?.id));
    const { status } = await send(method, where, example);
    expect([200, 201]).toContain(status);
  });
});
