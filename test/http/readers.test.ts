/** Clients that ask and do not read, and more of them than there is room for. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openToAll } from "../../src/access/access.ts";
import { createApp } from "../../src/http/app.ts";
import { startHttpServer } from "../../src/http/server.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { createLogger } from "../../src/log.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, openTestLedger } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { openSocket } from "../support/http/raw.ts";
import { appOptions } from "../support/server/in-process.ts";
import { type RunningServer, startServer } from "../support/server/program.ts";

const url = await createTestDatabase();
const { ledger } = openTestLedger(url);

async function serve(options: { untakenMs?: number; connectionsMax?: number }): Promise<string> {
  const api = { ledger, notReady: async () => null, access: openToAll, metrics: async () => "" };
  const app = createApp(api, createLogger("silent"), appOptions);
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0, ...options });
  afterFile(() => server.stop(1_000));
  return server.url;
}

/** 1,000 entries with 4 KB of metadata each. */
beforeAll(async () => {
  const metadata = { text: "x".repeat(4_000) };
  await Promise.all(
    Array.from({ length: 1_000 }, () => ledger.apply(adjustment(1, 1, { metadata }))),
  );
});

const page = "GET /api/users/1/entries?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";

interface EntryPage {
  readonly entries: readonly { readonly version: number }[];
  readonly nextCursor: string | null;
}

describe("pages", () => {
  test("end at about a megabyte, and the cursor goes on", async () => {
    const server = await serve({});
    const seen: number[] = [];
    let path: string | null = "/api/users/1/entries?limit=1000&order=asc";
    let pages = 0;
    while (path !== null) {
      const { text, body }: Awaited<ReturnType<typeof exchange<EntryPage>>> = await exchange(
        server,
        {
          path,
        },
      );
      expect(text.length).toBeLessThan(1_200_000);
      seen.push(...(body.data?.entries ?? []).map(({ version }) => version));
      const cursor: string | null | undefined = body.data?.nextCursor;
      path = cursor ? `/api/users/1/entries?limit=1000&cursor=${cursor}` : null;
      pages += 1;
    }
    expect(seen).toEqual(Array.from({ length: 1_001 }, (_, index) => index + 1));
    expect(pages).toBe(5);
  });
});

test("one that takes nothing of what is due is closed, one that reads slowly is not", async () => {
  const server = await serve({ untakenMs: 500 });
  const [deaf, slow] = [await openSocket(server), await openSocket(server)];
  deaf.pause();
  slow.pause();
  deaf.write(page.repeat(20));
  slow.write(page.repeat(3));
  let taken = 0;
  let isSlow = true;
  slow.on("data", (chunk: Buffer) => {
    taken += chunk.length;
    if (isSlow) slow.pause();
  });
  const reading = setInterval(() => slow.resume(), 50);
  deaf.on("error", () => {});
  // Who does not read hears of the end by writing: empty lines before a request mean nothing.
  const knocking = setInterval(() => deaf.write("\r\n"), 50);
  await new Promise((resolve) => deaf.once("close", resolve));
  clearInterval(knocking);
  expect(slow.destroyed).toBe(false);
  clearInterval(reading);
  isSlow = false;
  slow.resume();
  await expect.poll(() => taken, { timeout: 5_000 }).toBeGreaterThan(3_000_000);
  slow.destroy();
});

test("900 small ones in one packet are answered in order, and as quickly", async () => {
  const server = await serve({});
  const socket = await openSocket(server);
  const body = '{"amount":-1}';
  const one = `PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n${body}`;
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write(one.repeat(900));
  await expect.poll(() => text.match(/"balance":/g)?.length, { timeout: 10_000 }).toBe(900);
  const balances = [...text.matchAll(/"balance":(\d+)/g)].map(([, balance]) => Number(balance));
  expect(balances).toEqual(
    Array.from({ length: 900 }, (_, index) => (balances[0] as number) - index),
  );
  socket.destroy();
});

test("connections beyond the bound are told so, and what they ask is not done", async () => {
  const server = await serve({ connectionsMax: 3 });
  const held = await Promise.all([1, 2, 3].map(() => openSocket(server)));
  const before = await ledger.user(1);
  const turned = await openSocket(server);
  let text = "";
  turned.on("data", (chunk) => {
    text += chunk;
  });
  turned.write(
    'PUT /api/users/1/balance HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"amount":-1}',
  );
  turned.on("error", () => {});
  await once(turned, "close");
  expect(text).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
  expect(text).toContain("Retry-After: 1\r\n");
  expect(text).toContain('"code":"OVERLOADED","message":"Too many connections are open"');
  expect((await ledger.user(1)).version).toBe(before.version);
  for (const socket of held) socket.destroy();
  await expect
    .poll(async () => (await exchange(server, { path: "/healthz" }).catch(() => null))?.status)
    .toBe(200);
});

describe("with a small heap", () => {
  let server: RunningServer;
  const sockets: Socket[] = [];
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: url, NODE_OPTIONS: "--max-old-space-size=200" });
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
  });

  test("the server answers throughout, whatever 25 clients ask and do not read", async () => {
    for (let client = 0; client < 25; client += 1) {
      const socket = await openSocket(server.url);
      socket.on("error", () => {});
      socket.pause();
      socket.write(page.repeat(90));
      sockets.push(socket);
      expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
    }
    for (let look = 0; look < 20; look += 1) {
      expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
      await sleep(100);
    }
    expect(server.child.exitCode).toBe(null);
  }, 30_000);
});
