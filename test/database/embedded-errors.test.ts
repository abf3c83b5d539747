/** What the embedded database says when it cannot work: what is wrong, and never a password. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

let dataDir: string;
let password: string;
const data = (name: string) => join(dataDir, "postgres-18/data", name);

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "balancectl-embedded-errors-"));
  await chmod(dataDir, 0o755);
  const one = await openEmbeddedPostgres({ dataDir });
  password = new URL(one.url).password;
  await one.close();
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function messageOfOpening(): Promise<string> {
  const error = await openEmbeddedPostgres({ dataDir }).catch((thrown) => thrown);
  expect(error).toMatchObject({ name: "BalancectlError", code: "EMBEDDED_UNAVAILABLE" });
  expect(error.message).not.toContain(password);
  return error.message;
}

/** The message while the file has another content. */
async function messageWith(name: string, content: string): Promise<string> {
  const before = await readFile(data(name));
  await writeFile(data(name), content);
  const message = await messageOfOpening();
  await writeFile(data(name), before);
  return message;
}

test("a cluster of another version", async () => {
  const message = await messageWith("PG_VERSION", "17\n");
  expect(message).toContain("was made by PostgreSQL 17, and this program runs 18");
});

test("another version's database in the folder: no new one is made beside it", async () => {
  const other = await mkdtemp(join(tmpdir(), "balancectl-embedded-errors-"));
  try {
    await mkdir(join(other, "postgres-17"));
    await expect(openEmbeddedPostgres({ dataDir: other })).rejects.toMatchObject({
      code: "EMBEDDED_UNAVAILABLE",
      message: expect.stringMatching(
        /holds the database of another version, postgres-17, .*pg_dump/,
      ),
    });
    expect(await readdir(other)).toEqual(["postgres-17"]);
  } finally {
    await rm(other, { recursive: true });
  }
});

test("a server that does not start, with the end of its log", async () => {
  const message = await messageWith("postgresql.auto.conf", "no_such_setting = 1\n");
  expect(message).toMatch(/does not start.*"no_such_setting"/s);
});

test("a password that is not the server's, and the server is not left running", async () => {
  const message = await messageWith("pgpass", "127.0.0.1:*:*:balancectl:guessed\n");
  expect(message).toContain(`refuses the password in ${data("pgpass")} (28P01)`);
  await expect(readFile(data("postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("files where the database should be", async () => {
  await rm(data("PG_VERSION"));
  expect(await messageOfOpening()).toContain("holds files but no complete database");
});
