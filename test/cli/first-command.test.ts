/** The first command on a database that has no tables yet. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { balancectl } from "../support/server/program.ts";

const commands = [
  ["adjust", "1", "-2"],
  ["users", "create", "--id", "7"],
  ["users", "list"],
  ["history", "1"],
  ["verify"],
  ["holds", "1"],
  ["prune"],
];

test("on the embedded PostgreSQL, any of them, also at once, brings the tables", async () => {
  const dataDir = join(tmpdir(), `balancectl-first-${randomBytes(6).toString("hex")}`);
  afterFile(() => rm(dataDir, { recursive: true, force: true }));
  const env = { BALANCECTL_DATA_DIR: dataDir };
  const runs = await Promise.all(commands.map((args) => balancectl(args, env)));
  const failed = runs.filter(({ code }) => code !== 0);
  expect(failed).toEqual([]);
  expect(runs[0]?.stdout).toBe("User 1: 10,000 → 9,998 (-2)\n");
  // As they are after an upgrade: some are missing.
  expect((await balancectl(["migrate", "down", "--yes"], env)).code).toBe(0);
  expect((await balancectl(["adjust", "1", "-2"], env)).stdout).toBe(
    "User 1: 9,998 → 9,996 (-2)\n",
  );
});

test("on another database, says what to run and makes nothing", async () => {
  const url = await createTestDatabase({ template: false });
  for (const args of commands) {
    const { code, stdout, stderr } = await balancectl(args, { DATABASE_URL: url });
    expect([args, code, stdout]).toEqual([args, 1, ""]);
    expect(stderr).toMatch(
      /\nbalancectl: The schema of PostgreSQL \w+ at \S+ lacks 0001-.*: run `balancectl migrate` first\n$/,
    );
  }
  expect(
    await psql(url, "SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
  ).toEqual([]);
});
