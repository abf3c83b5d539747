/** What a stopping server does with those who do not stop by themselves. */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import express from "express";
import { expect, test } from "vitest";
import { startHttpServer } from "../../src/http/server.ts";
import { exchange } from "../support/http/client.ts";
import { openSocket, readToEnd } from "../support/http/raw.ts";

test("what streams is told that the server stops, before connections are waited for", async () => {
  const app = express();
  const streams: ServerResponse[] = [];
  const asked = new Promise<void>((resolve) => {
    app.get("/stream", (_req, res) => {
      streams.push(res);
      res.write("begun;");
      resolve();
    });
  });
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
  const told: string[] = [];
  server.onDrain(() => {
    told.push("first");
    for (const stream of streams) stream.end("ended");
  });
  server.onDrain(() => told.push("second"));
  const socket = await openSocket(server.url);
  const all = readToEnd(socket);
  socket.write("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await asked;
  // Ended by the listener: without it the stream would be cut after this, and stop() say so.
  expect(await server.stop(60_000)).toBe(true);
  expect(told).toEqual(["first", "second"]);
  expect((await all).toString()).toMatch(/begun;[\s\S]*ended/);
});

test("new ones that come without end are answered for half of the time, and leave the rest to the others", async () => {
  const app = express();
  app.get("/new", (_req, res) => {
    res.json({ success: true });
  });
  let answer: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    app.get("/old", (_req, res) => {
      answer = () => res.json({ success: true });
      resolve();
    });
  });
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
  const old = exchange(server.url, { path: "/old" });
  await asked;
  const startedAt = performance.now();
  const stopped = server.stop(3_000);
  const heard = new Set<string>();
  let refused: NodeJS.ErrnoException | undefined;
  while (refused === undefined) {
    await exchange(server.url, { path: "/new" }).then(
      ({ status, headers }) => heard.add(`${status} ${headers.get("connection")}`),
      (error) => {
        refused = error;
      },
    );
    await sleep(10);
  }
  expect([...heard]).toEqual(["200 close"]);
  // The last to come may have been taken by the kernel in the moment when the server closed.
  expect(["ECONNREFUSED", "ECONNRESET"]).toContain(refused.code);
  // Not as soon as it was quiet: it never was.
  expect(performance.now() - startedAt).toBeGreaterThan(1_499);
  answer();
  expect((await old).status).toBe(200);
  expect(await stopped).toBe(true);
});
