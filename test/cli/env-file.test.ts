/** A folder that somebody else has filled must not decide what balancectl runs, nor hang it. */
import { execFileSync } from "node:child_process";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readEnvFile } from "../../src/cli/env-file.ts";
import { startOwnServer } from "../../src/cli/own-server.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { exchange } from "../support/http/client.ts";
import { balancectl, startServer } from "../support/server/program.ts";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "balancectl-env-"));
  afterFile(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function folderWith(text: string): Promise<string> {
  const cwd = await folder();
  await writeFile(join(cwd, ".env"), text);
  return cwd;
}

const hostile = (cwd: string) =>
  [
    `NODE_OPTIONS=--require ${join(cwd, "evil.cjs")}`,
    `LD_PRELOAD=${join(cwd, "evil.so")}`,
    "NODE_TLS_REJECT_UNAUTHORIZED=0",
    "NODE_UNIQUE_ID=1",
    "PGSSLMODE=disable",
    "PGHOST=192.0.2.1",
    "XDG_DATA_HOME=/elsewhere",
    "LOG_LEVEL=error",
  ].join("\n");

test("only settings of ours are taken from it", async () => {
  const cwd = await folder();
  const path = join(cwd, ".env");
  await writeFile(path, `${hostile(cwd)}\nBALANCECTL_LANES=2\n`);
  expect(readEnvFile(path)).toEqual({
    settings: { LOG_LEVEL: "error", BALANCECTL_LANES: "2" },
    ignored: ["PGHOST", "PGSSLMODE"],
  });
});

test.skipIf(process.platform !== "linux")(
  "workers have what they need in their environment, and nothing that was there by chance",
  async () => {
    const cwd = await folder();
    await writeFile(join(cwd, "evil.cjs"), `require("fs").writeFileSync("${cwd}/ran", "")`);
    await writeFile(join(cwd, ".env"), hostile(cwd));
    const env = {
      ...{ DATABASE_URL: await createTestDatabase(), BALANCECTL_LANES: "1", LOG_LEVEL: undefined },
      ...{ AWS_SECRET_ACCESS_KEY: "sesame", LC_ALL: "C", TZ: "UTC", NODE_NO_WARNINGS: "1" },
    };
    const server = await startServer(env, ["--workers", "2"], { cwd });
    const { pid } = server.child;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    const [worker] = children.split(" ");
    const environment = (await readFile(`/proc/${worker}/environ`, "utf8")).split("\0");
    const names = environment.filter(Boolean).map((one) => one.split("=")[0] ?? "");
    expect(names.filter((name) => !name.startsWith("NODE_CHANNEL_")).sort()).toEqual(
      ["HOME", "LC_ALL", "LOG_LEVEL", "NODE_UNIQUE_ID", "NO_COLOR", "PATH", "TZ"].sort(),
    );
    expect(environment).toContain("LOG_LEVEL=error");
    await expect(readFile(join(cwd, "ran"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await server.stop()).toBe(0);
    expect(server.stderr()).toBe(
      `Settings from ${join(cwd, ".env")}: LOG_LEVEL; ignored there: PGHOST, PGSSLMODE\n`,
    );
  },
);

test("the server that stress starts has the settings as well", async () => {
  const cwd = await folder();
  const script = join(cwd, "names.cjs");
  const say = "JSON.stringify({ url: Object.keys(process.env).sort().join() })";
  await writeFile(script, `console.log(${say}); process.on("SIGTERM", () => process.exit())`);
  const { PATH } = process.env;
  const own = { PATH, HOME: cwd, DATABASE_URL: "u", PGHOST: "h", BALANCECTL_LANES: "1" };
  const env = { ...own, LD_PRELOAD: "", LD_LIBRARY_PATH: cwd, NODE_UNIQUE_ID: "1", SECRET: "s" };
  const invocation = { nodePath: process.execPath, script, env };
  const { url, stop } = await startOwnServer(
    invocation as unknown as Parameters<typeof startOwnServer>[0],
    new AbortController().signal,
  );
  await stop();
  expect(url.split(",").filter((name) => !name.startsWith("NODE_CHANNEL_"))).toEqual(
    [...Object.keys(own), "BALANCECTL_TOKENS", "LOG_LEVEL"].sort(),
  );
});

describe("a file that is not taken", () => {
  test("a pipe, which nobody will ever write into", async () => {
    const cwd = await folder();
    execFileSync("mkfifo", [join(cwd, ".env")]);
    expect(await balancectl(["--version"], {}, { cwd })).toEqual({
      code: 2,
      stdout: "",
      stderr: "balancectl: .env cannot be read: it is not a regular file\n",
    });
  });

  test("a huge one", async () => {
    const cwd = await folderWith(`PORT=${"1".repeat(1_000_001)}`);
    expect(() => readEnvFile(join(cwd, ".env"))).toThrow("it has more than 1000000 bytes");
  });

  test("another user's", async () => {
    const cwd = await folderWith("PORT=1");
    const path = join(cwd, ".env");
    const uid = process.getuid?.() ?? 0;
    expect(readEnvFile(path, uid).settings).toEqual({ PORT: "1" });
    if (uid === 0) {
      // Root's is taken by everybody; root takes nobody's, nor one in somebody's folder.
      expect(readEnvFile(path, 12_345).settings).toEqual({ PORT: "1" });
      await chown(cwd, 12_345, 12_345);
      expect(() => readEnvFile(path, 0)).toThrow(
        "its folder belongs to another user (id 12345), who would decide what is done here; run " +
          "balancectl in another folder, and give it settings in its environment",
      );
      await chown(path, 12_345, 12_345);
    }
    expect(() => readEnvFile(path, 54_321)).toThrow("it belongs to another user");
    expect(() => readEnvFile(path, 0)).toThrow("it belongs to another user");
  });
});

describe("a NODE_UNIQUE_ID that nobody meant", () => {
  test("does not keep serve from listening", async () => {
    const env = { DATABASE_URL: await createTestDatabase(), NODE_UNIQUE_ID: "1" };
    const server = await startServer(env);
    expect((await exchange(server.url, { path: "/healthz" })).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });

  test("is named where there can be no workers with it", async () => {
    const env = { DATABASE_URL: await createTestDatabase(), NODE_UNIQUE_ID: "1" };
    const { code, stderr } = await balancectl(["serve", "--workers", "2", "--port", "0"], env);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("NODE_UNIQUE_ID in the environment"),
    ]);
  });
});
