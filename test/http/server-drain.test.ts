/** Answers that have no end of their own end first when the server stops. */
import type { ServerResponse } from "node:http";
import express from "express";
import { expect, test } from "vitest";
import { startHttpServer } from "../../src/http/server.ts";
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
