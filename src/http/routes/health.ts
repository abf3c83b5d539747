import { packageVersion } from "../../package-root.ts";
import { alive, ready } from "../contract/answers.ts";
import { ok, refused, route } from "../route.ts";

// Parameters are not minded: probes add some of their own, and a server is not down for them.

/** The process lives. */
export const getHealth = route({
  name: "health.get",
  summary: "Say whether the process lives",
  method: "GET",
  path: "/healthz",
  scope: "public",
  query: "any",
  answers: { 200: alive },
  refusals: [],
  handle: async () => ok({ service: "balancectl" as const, version: packageVersion() }),
});

/** It can do its work. */
export const getReadiness = route({
  name: "readiness.get",
  summary: "Say whether it can do its work",
  method: "GET",
  path: "/readyz",
  scope: "public",
  query: "any",
  answers: { 200: ready },
  refusals: ["DATABASE_UNAVAILABLE"],
  handle: async (_request, { notReady, access }) => {
    const reason = await notReady();
    if (reason !== null) return refused("DATABASE_UNAVAILABLE", reason);
    return ok({
      ready: true as const,
      ...(access.allowsAnonymous && { anonymous: true as const }),
    });
  },
});
