/** `balancectl serve` behind a load balancer: it says that it is stopping while it still takes who comes. */
import { expect, test } from "vitest";
import { createTestDatabase } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { openSocket } from "../support/http/raw.ts";
import { startServer } from "../support/server/program.ts";

const delayMs = 3_000;

// Each request comes by a connection of its own, as a load balancer's checks do.
const headers = { connection: "close" };

test.concurrent.each([[[]], [["--workers", "2"]]])(
  "asked to stop, %j: not ready first, answering on new connections, then gone",
  async (args: string[]) => {
    const env = { BALANCECTL_SHUTDOWN_DELAY_MS: String(delayMs) };
    const server = await startServer({ DATABASE_URL: await createTestDatabase(), ...env }, args);
    const ready = () => exchange(server.url, { path: "/readyz", headers });
    expect((await ready()).status).toBe(200);
    const askedMs = performance.now();
    const ended = server.stop();
    // Two in a row: workers have their turns.
    for (let refusals = 0; refusals < 2; ) {
      const { status, body } = await ready();
      if (status === 200) refusals = 0;
      else {
        expect([status, body.error?.message]).toEqual([503, "The server is stopping"]);
        refusals += 1;
      }
    }
    const put = { method: "PUT", path: "/api/users/1/balance" };
    const body = '{"amount":-1}';
    const json = { "content-type": "application/json" };
    const change = await exchange(server.url, { ...put, body, headers: { ...headers, ...json } });
    expect(change.status).toBe(200);
    expect(await ended).toBe(0);
    expect(performance.now() - askedMs).toBeGreaterThanOrEqual(delayMs);
    await expect(openSocket(server.url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  },
);
