/** Who may enter the embedded PostgreSQL's folders, and where root keeps none. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";
import { afterFile } from "../support/cleanup.ts";
import { script } from "../support/server/program.ts";

vi.setConfig({ testTimeout: 60_000 });

const asRoot = process.getuid?.() === 0;

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "balancectl-modes-"));
  await chmod(path, 0o755);
  afterFile(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

async function modesIn(dataDir: string): Promise<Record<string, string>> {
  const names = ["", "data", "data/pgpass", "server.log"];
  const modes = await Promise.all(
    names.map(async (name) => (await stat(join(dataDir, "postgres-18", name))).mode & 0o777),
  );
  return Object.fromEntries(names.map((name, at) => [name, modes[at]?.toString(8) ?? ""]));
}

const closed = {
  "": asRoot ? "711" : "700",
  data: "700",
  "data/pgpass": "600",
  "server.log": "600",
};

async function program(
  dataDir: string,
  { before = "", uid = process.getuid?.() } = {},
): Promise<{ code: number; stderr: string }> {
  const line = `${before}exec "$0" "$1" adjust 1 -1`;
  const child = spawn("sh", ["-c", line, process.execPath, script], {
    ...(uid !== undefined && { uid }),
    env: { PATH: process.env["PATH"], NO_COLOR: "1", BALANCECTL_DATA_DIR: dataDir },
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

test("they are closed whatever the umask, and closed again at the next start, which says so", async () => {
  const dataDir = await folder();
  expect((await program(dataDir, { before: "umask 000; " })).code).toBe(0);
  expect(await modesIn(dataDir)).toEqual(closed);
  const own = join(dataDir, "postgres-18");
  await chmod(own, 0o755);
  await chmod(join(own, "data"), 0o755);
  await chmod(join(own, "data/pgpass"), 0o644);
  await chmod(join(own, "server.log"), 0o666);
  const said: string[] = [];
  const { close } = await openEmbeddedPostgres({ dataDir, onProgress: (line) => said.push(line) });
  await close();
  expect(await modesIn(dataDir)).toEqual(closed);
  expect(said.filter((line) => line.startsWith("Closed "))).toEqual([
    `Closed ${own} to other users: its mode was 0755, and is 0${closed[""]}`,
    `Closed ${own}/data to other users: its mode was 0755, and is 0700`,
    `Closed ${own}/data/pgpass to other users: its mode was 0644, and is 0600`,
    `Closed ${own}/server.log to other users: its mode was 0666, and is 0600`,
  ]);
});

test("a strict umask leaves what is needed", async () => {
  const dataDir = await folder();
  expect(await program(dataDir, { before: "umask 077; " })).toMatchObject({ code: 0 });
  expect(await modesIn(dataDir)).toEqual(closed);
});

describe.skipIf(!asRoot)("root", () => {
  const refused = (name: RegExp) => ({
    code: "EMBEDDED_UNAVAILABLE",
    message: expect.stringMatching(name),
  });

  test("keeps no database in a folder of somebody else, nor below one, nor by a link", async () => {
    const outer = await folder();
    const inner = join(outer, "inner");
    await mkdir(inner);
    await chown(outer, 12_345, 12_345);
    for (const dataDir of [outer, inner, join(outer, "new")]) {
      await expect(openEmbeddedPostgres({ dataDir })).rejects.toMatchObject(
        refused(/balancectl-modes-\w+ belongs to the user with id 12345\. Run by root, balancectl/),
      );
    }
    expect(await readdir(outer)).toEqual(["inner"]);
    expect(await readdir(inner)).toEqual([]);
  });

  test("nor where others may rename it", async () => {
    const outer = await folder();
    const dataDir = join(outer, "inner");
    for (const mode of [0o777, 0o707]) {
      await chmod(outer, mode);
      await expect(openEmbeddedPostgres({ dataDir })).rejects.toMatchObject(
        refused(/balancectl-modes-\w+ may be changed by others than root/),
      );
    }
    expect(await readdir(outer)).toEqual([]);
  });
});

test("a folder whose name has a line break is refused before anything is made", async () => {
  const outer = await folder();
  await expect(openEmbeddedPostgres({ dataDir: join(outer, "a\nb") })).rejects.toMatchObject({
    code: "EMBEDDED_UNAVAILABLE",
    message: expect.stringMatching(/^The name of the folder ".*a\\nb" has a line break/),
  });
  expect(await readdir(outer)).toEqual([]);
});

test.skipIf(!asRoot)("a user without a name is told what to do", async () => {
  const dataDir = await folder();
  await chown(dataDir, 54_321, 54_321);
  const { code, stderr } = await program(dataDir, { uid: 54_321 });
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(
      "the user with id 54321 has none in /etc/passwd: add a line for it there",
    ),
  ]);
});
