/** A password is not given to whoever listens where the database did. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import { hostClients } from "../../src/database/host-client.ts";
import { connect } from "../../src/database/migration-connection.ts";
import { QuietClient } from "../../src/database/quiet-client.ts";
import { afterFile } from "../support/cleanup.ts";
import { testBounds } from "../support/database/database.ts";
import { commandLine, connecting } from "../support/server/command-line.ts";

const secret = "sesame-1234";

/** An authentication request of PostgreSQL's protocol. */
function request(kind: number, rest: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9, "R");
  head.writeUInt32BE(8 + rest.length, 1);
  head.writeUInt32BE(kind, 5);
  return Buffer.concat([head, rest]);
}

const ok = request(0);
const clearText = request(3);
const md5 = request(5, Buffer.from("salt"));
const scram = request(10, Buffer.from("SCRAM-SHA-256\0\0"));
const ready = Buffer.from("Z\0\0\0\x05I");

/** Answers the start of a session like this, and keeps what it is told then. */
async function fakeServer(answer: Buffer): Promise<{ url: string; told: () => string }> {
  let told = "";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(answer);
      socket.on("data", (chunk) => {
        told += chunk.toString("latin1");
      });
    });
  }).listen(0, "127.0.0.1");
  afterFile(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgres://ann:${secret}@127.0.0.1:${port}/balances?connect_timeout=1`,
    told: () => told,
  };
}

/** Sequelize and BalancectlError keep the driver's own. */
type Thrown = Error & { cause?: Error; original?: Error };

const ways: Record<string, (url: string) => Promise<unknown>> = {
  "a change": async (url) => {
    const database = connectDatabase(url, testBounds);
    afterFile(() => database.close());
    return await database.writer(0).query({ name: "one", text: "SELECT 1" }, []);
  },
  "a read": async (url) => {
    const database = connectDatabase(url, testBounds);
    afterFile(() => database.close());
    return await database.sequelize.query("SELECT 1");
  },
  migrate: (url) => connect(url),
  "the look for a host": (url) => {
    const other = url.replace("/balances", ",127.0.0.1:1/balances");
    return hostClients(other).newClient({}).connect();
  },
};

describe.each(Object.entries(ways))("%s", (_name, way) => {
  test.each([
    ["in clear text", clearText, /asks for the password in clear text.*require_auth=password/],
    ["as a digest", md5, /asks for a digest of the password \(md5\).*require_auth=md5/],
    ["and forgets to prove itself", Buffer.concat([scram, ok, ready]), /has not proven/],
  ])("asked %s: is told nothing, and says why", async (_asked, answer, words) => {
    const { url, told } = await fakeServer(answer);
    const error = (await way(url).catch((thrown) => thrown)) as Thrown;
    const texts = [error.message, error.cause?.message, error.original?.message].join(" ");
    expect(texts).toMatch(words);
    expect(texts).not.toContain(secret);
    expect(told()).not.toContain(secret);
    // But for the first message of SCRAM, which says nothing of the password.
    expect(told()).toMatch(/^$|^p\0\0\0.SCRAM-SHA-256\0/s);
  });
});

test("where the URL says so it is told", async () => {
  const { url, told } = await fakeServer(clearText);
  const given = hostClients(`${url}&require_auth=password`).newClient({}).connect();
  await expect(given).rejects.toThrow();
  expect(told()).toBe(`p\0\0\0\x10${secret}\0`);
});

test("a server that does not ask is refused where the URL wants a proof", async () => {
  const { url, told } = await fakeServer(Buffer.concat([ok, ready]));
  const one = new QuietClient({ ...partsOf(url), auth: ["scram-sha-256"] });
  await expect(one.connect()).rejects.toThrow("does not ask for a password");
  expect(told()).toBe("");
});

test("the command line says what to do", async () => {
  const { url } = await fakeServer(clearText);
  const { code, stderr } = await commandLine(url).run("adjust", "1", "-2");
  expect([code, stderr]).toEqual([
    1,
    `${connecting}balancectl: The database was not given the password that it asks for; nothing was changed (The ` +
      "server asks for the password in clear text, which whoever listens there could keep; it is not sent. Let " +
      "the server use scram-sha-256 or the URL say sslmode=verify-full, or if you trust the way there, " +
      "require_auth=password)\n",
  ]);
});

function partsOf(url: string) {
  const { hostname, port, username, password } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password };
}
