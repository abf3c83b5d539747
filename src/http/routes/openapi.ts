import { z } from "zod";
import { ok, route } from "../route.ts";

/** This API described for programs; the one answer without the envelope. */
export const getOpenApi = route({
  name: "openapi.get",
  summary: "Describe this API (OpenAPI 3.1)",
  method: "GET",
  path: "/openapi.json",
  scope: "public",
  document: "application/json",
  answers: { 200: z.record(z.string(), z.unknown()) },
  refusals: [],
  handle: async (_request, { describe }) => ok(describe()),
});
