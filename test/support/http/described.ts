/** What the tests of the API see, held against what the API says of itself. */
import { z } from "zod";
import { statusOf } from "../../../src/http/answer.ts";
import type { Route } from "../../../src/http/route.ts";
import { routes } from "../../../src/http/routes/all.ts";

const problem = z.strictObject({ in: z.string(), field: z.string(), rule: z.string() });
const index = z.int().min(0);

const details = z
  .strictObject({
    problems: z.array(problem).min(1),
    position: z.strictObject({ offset: index, line: index, column: index }),
    rule: z.enum(["balance", "minBalance"]),
    balance: index,
    needed: index,
    version: index,
    leg: index,
    userId: index,
    state: z.string(),
  })
  .partial()
  .optional();

const failure = z.strictObject({
  success: z.literal(false),
  error: z.strictObject({
    code: z.enum(Object.keys(statusOf)),
    message: z.string(),
    applied: z.enum(["no", "unknown"]).optional(),
    details,
  }),
});

const table = routes.map((route) => ({
  route,
  pattern: new RegExp(`^${route.path.replace(/:\w+/g, "[^/]+")}/?$`, "i"),
}));

/** @throws when a JSON answer is none that the table of routes has */
export function expectDescribed(method: string, path: string, status: number, body: unknown): void {
  const bare = path.split("?")[0] ?? "";
  const found = table.find(
    ({ route, pattern }) =>
      pattern.test(bare) && (method === route.method || isHead(method, route)),
  );
  if (status >= 400) {
    const { error } = failure.parse(body);
    if (statusOf[error.code as keyof typeof statusOf] !== status) {
      throw new Error(`${method} ${path}: ${error.code} with ${status}`);
    }
    return;
  }
  // A test's own application has routes of its own.
  if (found === undefined && !bare.startsWith("/api/")) return;
  if (found === undefined) throw new Error(`${method} ${path}: answered ${status}, by no route`);
  const data = found.route.answers[status];
  if (data === undefined) throw new Error(`${method} ${path}: ${status} is not described`);
  if (data === null || found.route.document !== undefined) return;
  z.strictObject({ success: z.literal(true), data }).parse(body);
}

function isHead(method: string, { method: own }: Route): boolean {
  return method === "HEAD" && own === "GET";
}
