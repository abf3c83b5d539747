/** The settings as they are found: value and origin of each, and no secret. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { maskedSetting } from "../../src/cli/masked-setting.ts";
import { settingNames } from "../../src/config.ts";
import { afterFile } from "../support/cleanup.ts";
import { runHere } from "../support/server/command-line.ts";
import { balancectl } from "../support/server/program.ts";

interface Document {
  readonly settings: readonly { name: string; value: string | null; from: string }[];
  readonly file: string | null;
  readonly problems: readonly string[];
}

function rowsOf(stdout: string): Record<string, [value: string | null, from: string]> {
  const { settings } = JSON.parse(stdout) as Document;
  return Object.fromEntries(settings.map(({ name, value, from }) => [name, [value, from]]));
}

test("each setting, with where it is from: flag, environment, .env, default", async () => {
  const cwd = await mkdtemp(join(tmpdir(), "balancectl-config-"));
  afterFile(() => rm(cwd, { recursive: true, force: true }));
  await writeFile(join(cwd, ".env"), "PORT=4000\nBALANCECTL_LANES=2\nHOST=10.0.0.1\n");
  const env = { PORT: "4001", LOG_LEVEL: "debug", DATABASE_URL: "postgres://me:pw-1@db/ledger" };
  const args = ["config", "--host", "0.0.0.0", "--json"];
  const { code, stdout } = await balancectl(args, env, { cwd });
  expect(code).toBe(0);
  const rows = rowsOf(stdout);
  expect(Object.keys(rows)).toEqual(settingNames);
  expect(rows).toMatchObject({
    HOST: ["0.0.0.0", "flag"],
    PORT: ["4001", "environment"],
    LOG_LEVEL: ["debug", "environment"],
    DATABASE_URL: ["postgres://me:********@db/ledger", "environment"],
    BALANCECTL_DATA_DIR: [null, "default"],
    BALANCECTL_LANES: ["2", ".env"],
    BALANCECTL_BATCH_SIZE_MAX: ["500", "default"],
  });
  expect((JSON.parse(stdout) as Document).file).toBe(join(cwd, ".env"));
});

test("as a table", async () => {
  const { code, stdout } = await runHere(["config"], { BALANCECTL_DATA_DIR: "/data" });
  const lines = stdout.split("\n");
  expect([code, lines[0], lines[1]]).toEqual([
    0,
    expect.stringMatching(/^setting +value +from$/),
    expect.stringMatching(/^HOST +127\.0\.0\.1 +default$/),
  ]);
  expect(lines).toContainEqual(expect.stringMatching(/^BALANCECTL_DATA_DIR +\/data +environment$/));
});

test("what is wrong is said beside them, with exit code 2", async () => {
  const env = { PORT: "x", BALANCECTL_LANE: "3", DATABASE_URL: "mysql://u:very-secret@h/d" };
  const { code, stdout } = await runHere(["config", "--json"], env);
  const { problems, settings } = JSON.parse(stdout) as Document;
  expect(code).toBe(2);
  expect(problems.map((problem) => problem.split(" ")[0])).toEqual([
    ...["PORT", "DATABASE_URL", "BALANCECTL_LANE"],
  ]);
  expect(settings.find(({ name }) => name === "PORT")?.value).toBe("x");
  expect(stdout).not.toContain("very-secret");
});

test.each([
  ["DATABASE_URL", "postgres://u:p@h:1/d", "postgres://u:********@h:1/d"],
  ["DATABASE_URL", "postgres://u:p@w:x@h/d", "postgres://u:********@h/d"],
  ["DATABASE_URL", "postgres://u@h,i:2/d?sslmode=require", "postgres://u@h,i:2/d?sslmode=require"],
  [
    "DATABASE_URL",
    "postgres:///d?user=u&password=p%40&sslpassword=q#x",
    "postgres:///d?user=u&password=********&sslpassword=********#x",
  ],
  ["DATABASE_URL", "secret", "********"],
  ["BALANCECTL_TOKEN", "t", "********"],
  ["BALANCECTL_TOKENS", "shop:write:t", "********"],
  ["BALANCECTL_TOKEN_FILE", "/run/token", "/run/token"],
  ["PORT", "3000", "3000"],
])("%s=%s is shown as %s", (name, text, shown) => {
  expect(maskedSetting(name, text)).toBe(shown);
});
