/** GET /healthz: the process lives. GET /readyz: it can do its work, or says why not. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { grantRole } from "../../src/database/grants.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { revertByHand } from "../support/database/revert.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { exchange } from "../support/http/client.ts";
import { openSocket, parseAnswers, readToEnd } from "../support/http/raw.ts";
import { balancectl, type RunningServer, startServer } from "../support/server/program.ts";

function ready({ url }: RunningServer) {
  return exchange(url, { path: "/readyz" });
}

async function expectNotReady(server: RunningServer, message: string): Promise<void> {
  const { status, text, headers } = await ready(server);
  const error = { code: "DATABASE_UNAVAILABLE", message };
  expect([status, text]).toEqual([503, JSON.stringify({ success: false, error })]);
  expect(headers.get("retry-after")).toBe("1");
  expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
}

async function expectReady(server: RunningServer): Promise<void> {
  const { status, text } = await ready(server);
  expect([status, text]).toEqual([200, '{"success":true,"data":{"ready":true}}']);
}

test("healthz names the service and its version", async () => {
  const server = await startServer({ DATABASE_URL: await createTestDatabase() });
  const { version } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8"));
  const { status, body } = await exchange(server.url, { path: "/healthz" });
  expect([status, body]).toEqual([
    200,
    { success: true, data: { service: "balancectl", version } },
  ]);
});

test("readyz: ready; the database is gone; ready again", async () => {
  const proxy = await startTcpProxy(await createTestDatabase());
  const server = await startServer({ DATABASE_URL: proxy.url, LOG_LEVEL: "fatal" });
  await expectReady(server);
  await proxy.down();
  await expectNotReady(server, "The database cannot be reached");
  await proxy.mend();
  await expectReady(server);
});

test("readyz: the schema is taken away under it, and given back", async () => {
  const url = await createTestDatabase();
  const server = await startServer({ DATABASE_URL: url });
  await expectReady(server);
  await revertByHand(url, 1);
  await expectNotReady(server, "The database schema is not the one of this server");
  await balancectl(["migrate", "up"], { DATABASE_URL: url });
  await expectReady(server);
});

test("readyz: the role may not do all that a server does", async () => {
  const url = await createTestDatabase();
  const role = `balancectl_test_${randomBytes(4).toString("hex")}`;
  await psql(url, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  afterFile(async () => {
    await psql(url, `DROP OWNED BY ${role}`);
    await psql(url, `DROP ROLE ${role}`);
  });
  await psql(url, `GRANT SELECT ON schema_migrations TO ${role}`);
  const as = new URL(url);
  as.username = role;
  as.password = "x";
  await grantRole(url, role, "os:test");
  const server = await startServer({ DATABASE_URL: as.href });
  await expectReady(server);
  await psql(url, `REVOKE SELECT ON entries FROM ${role}`);
  await psql(url, `REVOKE EXECUTE ON FUNCTION apply_operations FROM ${role}`);
  await expectNotReady(
    server,
    "The database role may not: SELECT on entries, EXECUTE on apply_operations",
  );
  await grantRole(url, role, "os:test");
  await expectReady(server);
  const opened = await exchange(server.url, {
    ...{ method: "POST", path: "/api/users", body: '{"balance":5}' },
    headers: { "content-type": "application/json", "idempotency-key": "k" },
  });
  expect(opened.status).toBe(201);
  await psql(url, `REVOKE SELECT ON schema_migrations FROM ${role}`);
  await expectNotReady(server, "The database role may not read schema_migrations");
});

test("readyz: draining", async () => {
  const server = await startServer({ DATABASE_URL: await createTestDatabase() });
  const idle = await openSocket(server.url);
  const closed = readToEnd(idle);
  idle.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(idle, "data");
  // One that was half asked when the signal came is waited for.
  const socket = await openSocket(server.url);
  const answer = readToEnd(socket);
  socket.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\n");
  await exchange(server.url, { path: "/healthz" });
  const exit = server.stop();
  await closed;
  socket.write("\r\n");
  const [draining, ...more] = parseAnswers(await answer);
  expect(more).toEqual([]);
  expect([draining?.status, JSON.parse(draining?.body ?? "{}").error]).toEqual([
    503,
    { code: "DATABASE_UNAVAILABLE", message: "The server is stopping" },
  ]);
  expect(draining?.headers["connection"]).toBe("close");
  expect(await exit).toBe(0);
});

test("a schema that is reverted under the server: 503 that says so, and well again after migrate", async () => {
  const url = await createTestDatabase();
  const server = await startServer({ DATABASE_URL: url, LOG_LEVEL: "silent" });
  const ask = async () => {
    const put = { method: "PUT", headers: { "content-type": "application/json" } };
    const answers = await Promise.all([
      exchange(server.url, { path: "/api/users/1" }),
      exchange(server.url, { path: `/api/users/1?at=${new Date().toISOString()}` }),
      exchange(server.url, { ...put, path: "/api/users/1/balance", body: '{"amount":-1}' }),
      exchange(server.url, { ...put, path: "/api/users/1/balance", body: '{"amount":1}' }),
    ]);
    return answers.map(({ status, body }) => body.error?.message ?? status);
  };
  expect(await ask()).toEqual([200, 200, 200, 200]);
  await revertByHand(url);
  const gone =
    "The database does not have the schema of this balancectl (`balancectl migrate` brings it); nothing was changed";
  expect(await ask()).toEqual([gone, gone, gone, gone]);
  expect((await balancectl(["migrate"], { DATABASE_URL: url })).code).toBe(0);
  expect(await ask()).toEqual([200, 200, 200, 200]);
});
