/** `balancectl token`, and a server that asks for what it made. */
import { expect, test } from "vitest";
import { isWhole } from "../../src/token.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { balancectl, startServer } from "../support/server/program.ts";

const env = { DATABASE_URL: await createTestDatabase(), HOST: "0.0.0.0" };

test("beyond loopback nobody is let in who shows no token, unless somebody means it", async () => {
  const { code, stdout, stderr } = await balancectl(["serve", "--port", "0"], env);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(
    "balancectl: 0.0.0.0 can be reached from other machines, and nobody would be asked who they are. " +
      "Make a token (balancectl token create --name NAME --scope write), or say that everybody may change every " +
      "balance (--allow-anonymous)\n",
  );
  const server = await startServer({ ...env, LOG_LEVEL: "warn" }, ["--allow-anonymous"]);
  const { body } = await exchange(server.url, { path: "/readyz" });
  expect(body.data).toEqual({ ready: true, anonymous: true });
  expect((await exchange(server.url, { path: "/api/users/1" })).status).toBe(200);
  expect(server.stderr()).toContain("requests without a token are answered (--allow-anonymous)");
  await server.stop();
});

test("made, shown once, listed without it, used, revoked", async () => {
  const made = await balancectl(
    [
      "token",
      "create",
      "--name",
      "shop",
      "--scope",
      "write",
      "--user",
      "1",
      "--expires",
      "90d",
      "--rate",
      "100/s",
    ],
    env,
  );
  expect([made.code, isWhole(made.stdout.trim())]).toEqual([0, true]);
  expect(made.stderr).toContain("This is shown once, and kept nowhere");
  const id = made.stdout.slice(5, 13);
  const listed = await balancectl(["token", "list"], env);
  expect(listed.stdout).toMatch(
    new RegExp(`^id .*\\n${id} +shop +write +1 +100/s .* good until .*\\n$`),
  );
  const server = await startServer(env);
  const authorization = `Bearer ${made.stdout.trim()}`;
  const path = "/api/users/1";
  expect((await exchange(server.url, { path })).status).toBe(401);
  expect((await exchange(server.url, { path, headers: { authorization } })).status).toBe(200);
  const revoked = await balancectl(["token", "revoke", "shop", "--json"], env);
  expect(JSON.parse(revoked.stdout).revoked).toMatchObject([
    { id, name: "shop", userIds: [1], rate: 100 },
  ]);
  await expect
    .poll(async () => (await exchange(server.url, { path, headers: { authorization } })).status, {
      timeout: 5_000,
    })
    .toBe(401);
  const again = await balancectl(["token", "revoke", id], env);
  expect([again.code, again.stderr]).toEqual([
    2,
    expect.stringContaining(`No token that is good has the id or the name "${id}"`),
  ]);
  await server.stop();
});

test("the command line stands in the journal under the name of who ran it", async () => {
  await balancectl(["adjust", "1", "-2"], env);
  const [entry] = await psql(
    env.DATABASE_URL,
    "SELECT a.kind, a.name FROM entries e JOIN actors a ON a.id = e.actor ORDER BY e.version DESC LIMIT 1",
  );
  expect(entry).toEqual({ kind: "os", name: process.env["USER"] ?? expect.any(String) });
});
