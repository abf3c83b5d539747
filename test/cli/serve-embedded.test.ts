/** `balancectl serve` on the embedded PostgreSQL, which is killed under it. */
import { randomBytes } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { exchange } from "../support/http/client.ts";
import { balancectl, startServer } from "../support/server/program.ts";

vi.setConfig({ testTimeout: 60_000 });

const dataDir = join(tmpdir(), `balancectl-serve-${randomBytes(6).toString("hex")}`);
afterFile(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));

async function postmaster(): Promise<number> {
  const text = await readFile(join(dataDir, "postgres-18/data/postmaster.pid"), "utf8");
  return Number(text.split("\n")[0]);
}

test("killed, it is started again: requests go on, and nothing that was answered is lost", async () => {
  const env = { BALANCECTL_DATA_DIR: dataDir };
  const server = await startServer(env, ["--workers", "2"]);
  expect(server.hello["database"]).toBe(`embedded PostgreSQL in ${dataDir}`);
  const withdraw = () =>
    exchange(server.url, {
      method: "PUT",
      path: "/api/users/1/balance",
      headers: { "content-type": "application/json" },
      body: '{"amount":-1}',
    });
  let withdrawn = 0;
  /** One after another, four at a time, until so many more have been made. */
  const untilMade = async (more: number) => {
    const enough = withdrawn + more;
    const one = async () => {
      while (withdrawn < enough) {
        const { status, body } = await withdraw();
        if (status === 200) withdrawn += 1;
        else {
          expect([status, body.error]).toEqual([503, expect.objectContaining({ applied: "no" })]);
          await sleep(100);
        }
      }
    };
    await Promise.all([one(), one(), one(), one()]);
  };
  await untilMade(20);
  const pid = await postmaster();
  const going = untilMade(200);
  process.kill(pid, "SIGKILL");
  await going;
  expect(await postmaster()).not.toBe(pid);
  const { body } = await exchange<{ balance: number }>(server.url, { path: "/api/users/1" });
  expect(body.data?.balance).toBe(10_000 - withdrawn);
  expect((await exchange(server.url, { path: "/readyz" })).status).toBe(200);
  expect(await server.stop()).toBe(0);
  const said = server
    .stderr()
    .split("\n")
    .filter((line) => line.includes("The embedded PostgreSQL"))
    .map((line) => JSON.parse(line).msg.replace(/\d+ ms/, "n ms"));
  expect(said).toEqual([
    "The embedded PostgreSQL was lost; it is started again",
    "The embedded PostgreSQL is there again, after n ms",
  ]);
  // The last to leave has stopped it.
  await expect(postmaster()).rejects.toMatchObject({ code: "ENOENT" });
  const verify = await balancectl(["verify"], env);
  expect(verify.code).toBe(0);
});
