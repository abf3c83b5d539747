/** Both pools must meet one database: a name that leads to two of them is refused. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";
import { migrateUp } from "../../src/database/migrator.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { balancectl } from "../support/server/program.ts";

vi.setConfig({ testTimeout: 60_000 });

test("a balancer in front of two servers: serve says so, and does not begin", async () => {
  const url = new URL(await createTestDatabase());
  const dataDir = await mkdtemp(join(tmpdir(), "balancectl-two-"));
  await chmod(dataDir, 0o755);
  const embedded = await openEmbeddedPostgres({ dataDir, listen: { tcpPort: 0 } });
  afterFile(async () => {
    await embedded.close();
    await rm(dataDir, { recursive: true });
  });
  // The same role and database on both.
  const name = url.pathname.slice(1);
  const role = `balancectl_test_${randomBytes(4).toString("hex")}`;
  await psql(embedded.url, `CREATE DATABASE ${name}`);
  for (const one of [url.href, embedded.url]) {
    await psql(one, `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'x'`);
  }
  const { href } = url;
  afterFile(() => psql(href, `DROP ROLE ${role}`));
  url.username = role;
  url.password = "x";
  const second = new URL(url);
  second.port = new URL(embedded.url).port;
  second.hostname = "127.0.0.1";
  await migrateUp(second.href);
  // The first look, the schema, the door, the lock of a server, and the first of the changes; then the reads.
  let turn = 0;
  const balancer = createServer((socket) => {
    const { hostname, port } = turn++ < 5 ? url : second;
    const upstream = connect(Number(port), hostname);
    for (const one of [socket, upstream]) one.on("error", () => {});
    socket.pipe(upstream).pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(balancer, "listening");
  afterFile(() => balancer.close());
  const through = new URL(url);
  through.hostname = "127.0.0.1";
  through.port = String((balancer.address() as AddressInfo).port);
  const { code, stdout, stderr } = await balancectl(["serve", "--no-migrate"], {
    ...{ DATABASE_URL: through.href, PORT: "0" },
  });
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(
    /DATABASE_URL leads to two databases: changes would go to .*, and reads to /,
  );
});
