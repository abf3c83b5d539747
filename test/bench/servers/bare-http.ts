/** (A) node:http and nothing else: what this machine can do with such a request at all. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { openingBalance } from "../population.ts";
import { announce, changedBody } from "./answering.ts";

const balances = new Map<number, number>();

const server = createServer((req, res) => {
  const id = Number(/^\/api\/users\/(\d+)/.exec(req.url ?? "")?.[1]);
  if (req.method !== "PUT") {
    send(res, { success: true, data: { id, balance: balances.get(id) ?? openingBalance } });
    return;
  }
  readBody(req, (body) => {
    const { amount } = body as { amount: number };
    const balance = (balances.get(id) ?? openingBalance) + amount;
    balances.set(id, balance);
    send(res, changedBody(id, balance, amount));
  });
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 16_384 }, () => {
  announce(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

function readBody(req: IncomingMessage, done: (body: unknown) => void): void {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => done(JSON.parse(Buffer.concat(chunks).toString("utf8"))));
}

function send(res: ServerResponse, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(200, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
  });
  res.end(text);
}
