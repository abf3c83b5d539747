/** Failures that are nobody's request: what is said of a write, and of a read that had to write first. */
import { expect, test } from "vitest";
import { openToAll } from "../../src/access/access.ts";
import { createApp } from "../../src/http/app.ts";
import { startHttpServer } from "../../src/http/server.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { createLogger } from "../../src/log.ts";
import { afterFile } from "../support/cleanup.ts";
import { createClock } from "../support/clock.ts";
import { createTestDatabase, openTestLedger } from "../support/database/database.ts";
import { lockUser, untilLockIsWaitedFor } from "../support/database/locked-user.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { createApiClient, expectError } from "../support/http/client.ts";
import { appOptions, serveInProcess } from "../support/server/in-process.ts";

test("a fault in the middle of a write is not known to have changed nothing, so nobody repeats it", async () => {
  const { ledger } = openTestLedger(await createTestDatabase());
  const broken = () => Promise.reject(new TypeError("a fault of ours"));
  const faulty = { ...ledger, apply: broken, user: broken };
  const api = {
    ledger: faulty,
    notReady: async () => null,
    access: openToAll,
    metrics: async () => "",
  };
  const app = createApp(api, createLogger("silent"), appOptions);
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
  afterFile(() => server.stop(1_000));
  const client = createApiClient(server.url);
  const write = await client.put("/api/users/1/balance", { amount: -2 });
  expect([write.status, write.headers.get("retry-after"), write.body.error]).toEqual([
    424,
    null,
    {
      ...{ code: "OUTCOME_UNKNOWN", message: "Whether the change was made is not known" },
      applied: "unknown",
    },
  ]);
  const keyed = await client.put(
    "/api/users/1/balance",
    { amount: -2 },
    { "idempotency-key": "k" },
  );
  expect([keyed.status, keyed.headers.get("retry-after")]).toEqual([424, "1"]);
  expectError(await client.get("/api/users/1"), "INTERNAL", "Internal error");
});

test("a read that gives back what is due, and loses that answer, may be asked again", async () => {
  const databaseUrl = await createTestDatabase();
  const proxy = await startTcpProxy(databaseUrl);
  const clock = createClock();
  const server = await serveInProcess(proxy.url, {
    now: clock.now,
    statementTimeoutMs: 2_000,
    lockTimeoutMs: 60_000,
  });
  const client = createApiClient(server.url);
  const made = await client.post("/api/users/1/holds", { amount: 40, expiresIn: 60 });
  expect(made.status).toBe(201);
  clock.advance(60);
  const lock = await lockUser(databaseUrl, 1);
  const read = client.get("/api/users/1");
  await untilLockIsWaitedFor(databaseUrl);
  await proxy.down();
  const answer = await read;
  expectError(
    answer,
    "DATABASE_UNAVAILABLE",
    "The database cannot be reached; nothing was changed",
  );
  expect(answer.headers.get("retry-after")).toBe("1");
  await Promise.all([lock.release(), proxy.mend()]);
  expect((await client.get("/api/users/1")).body.data).toEqual({ id: 1, balance: 10_000 });
});

test("a change behind a line that fell silent is told in time that it was not made", async () => {
  const databaseUrl = await createTestDatabase();
  const proxy = await startTcpProxy(databaseUrl);
  // Those that are in flight are given up after 6 s.
  const bounds = { lanes: 1, statementTimeoutMs: 500, lockTimeoutMs: 100 };
  const { url, ledger } = await serveInProcess(proxy.url, bounds);
  const client = createApiClient(url);
  expect((await client.put("/api/users/1/balance", { amount: -1 })).status).toBe(200);
  proxy.silence();
  const inFlight = [2, 3, 4].map((amount) => ledger.apply(adjustment(1, -amount)));
  const late = await client.put("/api/users/1/balance", { amount: -5 });
  expect([late.status, late.headers.get("retry-after"), late.body.error]).toEqual([
    503,
    "1",
    {
      code: "DATABASE_UNAVAILABLE",
      message:
        "The database took too long with what came before this change; nothing was changed, try again later",
      applied: "no",
    },
  ]);
  expect(ledger.state()).toMatchObject({ inFlight: 3, waiting: 0 });
  proxy.cut();
  await proxy.mend();
  expect(await Promise.all(inFlight)).toMatchObject([
    ...[{ balance: 9_997 }, { balance: 9_994 }, { balance: 9_990 }],
  ]);
  expect(await client.balanceOf(1)).toBe(9_990);
});
