/** What a request is called: out on every answer, and in the log. */
import { pino } from "pino";
import { expect, test } from "vitest";
import { openToAll } from "../../src/access/access.ts";
import { createApp } from "../../src/http/app.ts";
import { startHttpServer } from "../../src/http/server.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, openTestLedger } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { openSocket, parseAnswers } from "../support/http/raw.ts";
import { appOptions } from "../support/server/in-process.ts";

const { ledger } = openTestLedger(await createTestDatabase());
const lines: string[] = [];
const parts = {
  ledger: { ...ledger, balance: broken, user: broken },
  ...{ notReady: async () => null, access: openToAll, metrics: async () => "" },
};
const log = pino({ level: "error" }, { write: (line: string) => lines.push(line) });
const server = await startHttpServer(createApp(parts, log, appOptions), {
  ...{ host: "127.0.0.1", port: 0 },
});
afterFile(() => server.stop(1_000));

async function broken(): Promise<never> {
  throw new TypeError("a fault of ours");
}

const idOf = async (path: string, headers: Record<string, string | string[]> = {}) =>
  (await exchange(server.url, { path, headers })).headers.get("x-request-id");

test.each(["a", "checkout-17", "!~", "x".repeat(128)])("%s comes back", async (id) => {
  expect(await idOf("/healthz", { "x-request-id": id })).toBe(id);
});

test.each([
  ["none", undefined],
  ["an empty one", ""],
  ["a long one", "x".repeat(129)],
  ["one with a blank", "a b"],
  ["one that is not ASCII", "caf\u00e9"],
  ["two", ["a", "b"]],
])("for %s there is a new one", async (_name, id) => {
  const headers = id === undefined ? {} : { "x-request-id": id };
  expect(await idOf("/healthz", headers)).toMatch(/^[\da-f]{16}-[\da-z]+$/);
});

test("each answer has its own, whoever makes it", async () => {
  const paths = ["/healthz", "/healthz", "/nothing", "/api/users/x", "/api/users/1"];
  const ids = await Promise.all(paths.map((path) => idOf(path)));
  const socket = await openSocket(server.url);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write("no HTTP\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  const [answer] = parseAnswers(Buffer.concat(chunks));
  const all = [...ids, answer?.headers["x-request-id"]];
  for (const id of all) expect(id).toMatch(/^[\da-f]{16}-[\da-z]+$/);
  expect(new Set(all).size).toBe(paths.length + 1);
});

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const zero = (count: number) => "0".repeat(count);

test.each([
  [`00-${trace}-00f067aa0ba902b7-01`, trace],
  [`cc-${trace}-00f067aa0ba902b7-01-more`, trace],
  [`ff-${trace}-00f067aa0ba902b7-01`, undefined],
  [`00-${zero(32)}-00f067aa0ba902b7-01`, undefined],
  [`00-${trace}-${zero(16)}-01`, undefined],
  [`00-${trace.toUpperCase()}-00f067aa0ba902b7-01`, undefined],
  ["nonsense", undefined],
])(
  "a fault's line has the id of the request, and of traceparent %s the trace",
  async (traceparent, traceId) => {
    lines.length = 0;
    const id = await idOf("/api/users/1", { traceparent });
    expect(lines).toHaveLength(1);
    const { msg, requestId, traceId: seen } = JSON.parse(lines[0] ?? "");
    expect([msg, requestId, seen]).toEqual(["internal error", id, traceId]);
  },
);
