/** Settings: defaults, what is refused, and .env.example in step with them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Config, loadConfig, type SettingName, settingNames } from "../src/config.ts";
import { BalancectlError } from "../src/errors.ts";
import { packageRoot } from "../src/package-root.ts";

function problems(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(BalancectlError);
    expect((error as BalancectlError).code).toBe("CONFIG_INVALID");
    return (error as BalancectlError).message.split("\n");
  }
}

describe("defaults", () => {
  test("are these", () => {
    const { dataDir, ...config } = loadConfig({});
    expect(config).toEqual({
      host: "127.0.0.1",
      port: 3_000,
      databaseUrl: undefined,
      allowedHosts: [],
      logLevel: "info",
      batchSizeMax: 500,
      waitingMax: 20_000,
      lanes: 4,
      readConnectionsMax: 8,
      lockTimeoutMs: 1_000,
      statementTimeoutMs: 10_000,
      idempotencyDays: 30,
      bodyBytesMax: 100_000,
      drainTimeoutMs: 10_000,
    });
    expect(dataDir).toMatch(/\/balancectl$/);
  });

  test("stand in for what is empty", () => {
    const empty = Object.fromEntries(settingNames.map((name) => [name, ""]));
    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  test("hold the headline run twice over", () => {
    expect(loadConfig({}).waitingMax).toBeGreaterThanOrEqual(20_000);
  });

  test("cannot be changed", () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });

  test("do not look beyond what is handed in", () => {
    expect(loadConfig({ UNRELATED: "x", port: "9" })).toEqual(loadConfig({}));
  });
});

describe("values", () => {
  const given: [SettingName, string, keyof Config, unknown][] = [
    ["HOST", "0.0.0.0", "host", "0.0.0.0"],
    ["PORT", "0", "port", 0],
    ["PORT", "65535", "port", 65_535],
    ["DATABASE_URL", "postgres://u:p@h/d", "databaseUrl", "postgres://u:p@h/d"],
    ["DATABASE_URL", "postgresql://h:1/d?a=b", "databaseUrl", "postgresql://h:1/d?a=b"],
    ["BALANCECTL_DATA_DIR", "/data", "dataDir", "/data"],
    ["LOG_LEVEL", "silent", "logLevel", "silent"],
    ["BALANCECTL_BATCH_SIZE_MAX", "1", "batchSizeMax", 1],
    [
      "BALANCECTL_ALLOWED_HOSTS",
      " A.example, b.example ",
      "allowedHosts",
      ["a.example", "b.example"],
    ],
    ["BALANCECTL_WAITING_MAX", "500", "waitingMax", 500],
    ["BALANCECTL_DRAIN_TIMEOUT_MS", "0", "drainTimeoutMs", 0],
  ];

  test.each(given)("%s=%s", (name, text, field, value) => {
    expect(loadConfig({ [name]: text })[field]).toEqual(value);
  });
});

describe("refused", () => {
  const numbers = settingNames.filter((name) => problems({ [name]: "-1" }).length > 0);

  test.each(numbers.filter((name) => !["DATABASE_URL", "LOG_LEVEL"].includes(name)))(
    "%s is a whole number and nothing like one",
    (name) => {
      for (const text of [
        "x",
        "1.5",
        "1e3",
        "0x10",
        "+1",
        " 1",
        "1 ",
        "1_000",
        "NaN",
        "٣",
        "9".repeat(30),
      ]) {
        const [problem, ...more] = problems({ [name]: text });
        expect(more).toEqual([]);
        expect(problem).toMatch(new RegExp(`^${name} must be a whole number from \\d+ to \\d+`));
        expect(problem).toContain(`(it is ${JSON.stringify(text)})`);
      }
    },
  );

  test("room to wait that a full batch of transfers would never find", () => {
    expect(problems({ BALANCECTL_WAITING_MAX: "499" })).toEqual([
      'BALANCECTL_WAITING_MAX must be a whole number from 500 to 1000000 (it is "499")',
    ]);
  });

  test("all at once, a line each", () => {
    const all = problems(Object.fromEntries(settingNames.map((name) => [name, "!"])));
    const named = all.map((line) => line.split(" ")[0]);
    const free = ["HOST", "BALANCECTL_DATA_DIR", "BALANCECTL_ALLOWED_HOSTS"];
    expect(named.sort()).toEqual(settingNames.filter((name) => !free.includes(name)).sort());
  });

  test.each(["mysql://h/d", "h/d", "postgres:/h", "postgres://h:x/d", "postgres://h/%zz"])(
    "DATABASE_URL %s",
    (url) => {
      expect(problems({ DATABASE_URL: url })).toEqual([
        expect.stringMatching(/^DATABASE_URL must be a /),
      ]);
    },
  );

  test("without showing a password", () => {
    const [problem] = problems({ DATABASE_URL: "mysql://u:very-secret@h/d" });
    expect(problem).not.toContain("very-secret");
  });

  test("a setting that there is not, together with the rest", () => {
    expect(problems({ BALANCECTL_LANE: "8", PORT: "x" })).toEqual([
      'PORT must be a whole number from 0 to 65535 (it is "x")',
      "BALANCECTL_LANE is not a setting; .env.example names them all",
    ]);
  });

  test("a LOG_LEVEL by the names it may have", () => {
    expect(problems({ LOG_LEVEL: "INFO" })).toEqual([
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent (it is "INFO")',
    ]);
  });
});

describe(".env.example", () => {
  /** Settings as "# NAME=value": what is commented out is the default. */
  async function examples(): Promise<[string, string][]> {
    const text = await readFile(join(packageRoot, ".env.example"), "utf8");
    return [...text.matchAll(/^#? ?([A-Z][A-Z_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => [
      name,
      value,
    ]);
  }

  test("names every setting, once, and no other", async () => {
    const names = (await examples()).map(([name]) => name);
    expect(names.sort()).toEqual([...settingNames].sort());
  });

  test("gives the defaults", async () => {
    const { DATABASE_URL, ...rest } = Object.fromEntries(await examples());
    expect(loadConfig(rest)).toEqual(loadConfig({}));
    expect(problems({ DATABASE_URL: DATABASE_URL as string })).toEqual([]);
    const empty = Object.entries(rest).filter(([, value]) => value === "");
    expect(empty.map(([name]) => name).sort()).toEqual([
      "BALANCECTL_ALLOWED_HOSTS",
      "BALANCECTL_DATA_DIR",
    ]);
  });

  test("sets nothing as it is", async () => {
    const text = await readFile(join(packageRoot, ".env.example"), "utf8");
    expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  });
});
