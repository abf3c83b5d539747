import { z } from "zod";
import { ok, route } from "../route.ts";

/** What is counted and measured, in the text form of Prometheus. */
export const getMetrics = route({
  name: "metrics.get",
  summary: "Show what is counted and measured, in the text form of Prometheus",
  method: "GET",
  path: "/metrics",
  scope: "read",
  document: "text/plain",
  answers: { 200: z.string() },
  refusals: [],
  handle: async (_request, { metrics }) =>
    ok(await metrics(), { headers: { "Content-Type": textForm } }),
});

const textForm = "text/plain; version=0.0.4; charset=utf-8";
