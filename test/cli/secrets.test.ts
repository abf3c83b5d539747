/** The database's password is in nothing that others may read or that is kept: arguments, environments, logs, errors. */
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { exchange } from "../support/http/client.ts";
import { runHere } from "../support/server/command-line.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

vi.setConfig({ testTimeout: 60_000 });

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly environment: string;
}

/** Of Linux. One that ends meanwhile is left out. */
async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      try {
        const read = (name: string) => readFile(`/proc/${pid}/${name}`, "utf8");
        const [stat, command, environment] = await Promise.all(
          ["stat", "cmdline", "environ"].map(read),
        );
        const parent = Number(/\) \S (\d+)/.exec(stat ?? "")?.[1]);
        return [
          { pid: Number(pid), parent, command: command ?? "", environment: environment ?? "" },
        ];
      } catch {
        return [];
      }
    }),
  );
  return found.flat();
}

async function below(pid: number): Promise<Process[]> {
  const all = await processes();
  const of = (parent: number): Process[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...of(one.pid)]);
  return [...all.filter((one) => one.pid === pid), ...of(pid)];
}

async function change(server: RunningServer): Promise<number> {
  const { status } = await exchange(server.url, {
    method: "PUT",
    path: "/api/users/1/balance",
    headers: { "content-type": "application/json" },
    body: '{"amount":-1}',
  });
  return status;
}

test.skipIf(process.platform !== "linux")("of the embedded PostgreSQL", async () => {
  const dataDir = join(tmpdir(), `balancectl-secrets-${randomBytes(6).toString("hex")}`);
  afterFile(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));
  const env = { BALANCECTL_DATA_DIR: dataDir, LOG_LEVEL: "trace" };
  const server = await startServer(env, ["--workers", "2"]);
  const folder = join(dataDir, "postgres-18");
  const password = (await readFile(join(folder, "data/pgpass"), "utf8")).trim().split(":").at(-1);
  expect(password).toMatch(/^[\w-]{32}$/);
  expect(await change(server)).toBe(200);
  const all = await below(server.child.pid as number);
  // The server, its workers, PostgreSQL and its own.
  expect(all.filter(({ command }) => command.includes("balancectl.js"))).toHaveLength(3);
  expect(all.filter(({ command }) => command.includes("postgres")).length).toBeGreaterThan(3);
  expect(await server.stop()).toBe(0);
  const log = await readFile(join(folder, "server.log"), "utf8");
  const texts = [JSON.stringify(all), JSON.stringify(server.hello), server.stderr(), log];
  expect(texts.map((text) => text.includes(password as string))).toEqual(texts.map(() => false));
});

test.skipIf(process.platform !== "linux")("of DATABASE_URL, also when it fails", async () => {
  const url = await createTestDatabase();
  const role = `clerk_${randomBytes(4).toString("hex")}`;
  const secret = `s3same-${randomBytes(8).toString("hex")}`;
  await psql(url, `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${secret}'`);
  afterFile(() => psql(url, `DROP ROLE ${role}`));
  const proxy = await startTcpProxy(url);
  const through = new URL(proxy.url);
  through.username = role;
  through.password = secret;
  const env = {
    DATABASE_URL: through.href,
    LOG_LEVEL: "trace",
    BALANCECTL_STATEMENT_TIMEOUT_MS: "500",
  };
  const server = await startServer(env, [...["--workers", "2"]]);
  expect(await change(server)).toBe(200);
  const all = await below(server.child.pid as number);
  const [main, ...workers] = all.filter(({ command }) => command.includes("balancectl.js"));
  expect(workers).toHaveLength(2);
  // What starts it gives it the URL in its environment, which the system shows to its user alone.
  expect(main?.environment).toContain(secret);
  await proxy.down();
  expect([503, 424]).toContain(await change(server));
  expect((await exchange(server.url, { path: "/api/users/1" })).status).toBe(503);
  const runs = await Promise.all(
    [
      ...[through.href, `${through.href}?sslmode=x`, `${through.href}?x=${secret}`],
      ...[`postgres://u:${secret}@@h/d`, `postgres://u:${secret}%@h/d`, `mysql://u:${secret}@h/d`],
      ...[`postgres://u:${secret}@h:port/d`, `postgres://u:${secret} @h/d`],
    ].map((DATABASE_URL) => runHere(["adjust", "1", "-1"], { DATABASE_URL, LOG_LEVEL: "debug" })),
  );
  expect(runs.map(({ code }) => code)).toEqual([1, 2, 2, 2, 2, 2, 2, 2]);
  await proxy.mend();
  expect(await server.stop()).toBe(0);
  const texts = [
    ...[JSON.stringify(workers), all.map(({ command }) => command).join(), server.stderr()],
    ...[JSON.stringify(server.hello), JSON.stringify(runs)],
  ];
  expect(texts.map((text) => text.includes(secret))).toEqual(texts.map(() => false));
});
