/** Settings: defaults, what is refused, and .env.example in step with them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Config, loadConfig, type SettingName, settingNames } from "../src/config.ts";
import { BalancectlError } from "../src/errors.ts";
import { packageRoot } from "../src/package-root.ts";
import { isSettingName } from "../src/setting-names.ts";

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
      schema: undefined,
      allowedHosts: [],
      logLevel: "info",
      batchSizeMax: 500,
      waitingMax: 20_000,
      lanes: 4,
      connectionsMax: 0,
      readConnectionsMax: 8,
      lockTimeoutMs: 1_000,
      statementTimeoutMs: 10_000,
      idempotencyDays: 30,
      requireKeys: false,
      bodyBytesMax: 100_000,
      shutdownDelayMs: 0,
      drainTimeoutMs: 10_000,
      allowedOrigins: [],
      trustedProxies: [],
      allowAnonymous: false,
      tokens: [],
      tokensFile: undefined,
    });
    expect(dataDir).toMatch(/\/balancectl$/);
  });

  test("stand in for what is empty, but not for the place of the ledger", () => {
    const empty = Object.fromEntries(settingNames.map((name) => [name, ""]));
    const places = { DATABASE_URL: undefined, BALANCECTL_DATA_DIR: undefined };
    expect(loadConfig({ ...empty, ...places })).toEqual(loadConfig({}));
    expect(problems(empty)).toEqual([
      "DATABASE_URL is set but empty: unset it for the default",
      "BALANCECTL_DATA_DIR is set but empty: unset it for the default",
    ]);
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
    ["DATABASE_URL", "postgresql://h:1/d?port=2", "databaseUrl", "postgresql://h:1/d?port=2"],
    ["BALANCECTL_DATA_DIR", "/data", "dataDir", "/data"],
    ["BALANCECTL_DATA_DIR", "data", "dataDir", "data"],
    ["LOG_LEVEL", "silent", "logLevel", "silent"],
    ["BALANCECTL_BATCH_SIZE_MAX", "1", "batchSizeMax", 1],
    [
      "BALANCECTL_ALLOWED_HOSTS",
      " A.example, b.example ",
      "allowedHosts",
      ["a.example", "b.example"],
    ],
    [
      "BALANCECTL_ALLOWED_ORIGINS",
      "https://a.example http://localhost:5173",
      "allowedOrigins",
      ["https://a.example", "http://localhost:5173"],
    ],
    ["BALANCECTL_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "trustedProxies", ["10.0.0.0/8", "::1"]],
    ["BALANCECTL_ALLOW_ANONYMOUS", "true", "allowAnonymous", true],
    ["BALANCECTL_TOKENS_FILE", "/run/secrets/tokens", "tokensFile", "/run/secrets/tokens"],
    ["BALANCECTL_WAITING_MAX", "500", "waitingMax", 500],
    ["BALANCECTL_REQUIRE_KEYS", "true", "requireKeys", true],
    ["BALANCECTL_SHUTDOWN_DELAY_MS", "5000", "shutdownDelayMs", 5_000],
    ["BALANCECTL_DRAIN_TIMEOUT_MS", "0", "drainTimeoutMs", 0],
  ];

  test.each(given)("%s=%s", (name, text, field, value) => {
    expect(loadConfig({ [name]: text })[field]).toEqual(value);
  });
});

describe("the folder of the embedded PostgreSQL", () => {
  test("with ~ in it, which a .env hands over as it is", () => {
    const env = { HOME: "/home/ann" };
    expect(loadConfig({ ...env, BALANCECTL_DATA_DIR: "~/ledger" }).dataDir).toBe(
      "/home/ann/ledger",
    );
    expect(loadConfig({ ...env, BALANCECTL_DATA_DIR: "~" }).dataDir).toBe("/home/ann");
    expect(problems({ ...env, BALANCECTL_DATA_DIR: "~bob/x" })).toEqual([
      expect.stringMatching(/^BALANCECTL_DATA_DIR may begin with ~\//),
    ]);
    expect(problems({ HOME: "relative", BALANCECTL_DATA_DIR: "~/x" })).toEqual([
      expect.stringMatching(/^BALANCECTL_DATA_DIR must be set, .* no home folder/),
    ]);
  });

  test("is not looked for where there is a database", () => {
    const { dataDir, databaseUrl } = loadConfig({
      HOME: "relative",
      DATABASE_URL: "postgres://h/d",
    });
    expect([dataDir, databaseUrl]).toEqual([undefined, "postgres://h/d"]);
  });
});

describe("the schema", () => {
  test("is where all connections look", () => {
    const env = {
      DATABASE_URL: "postgres://h/d?options=-c%20a%3Db&sslmode=require",
      BALANCECTL_SCHEMA: "own",
    };
    const { databaseUrl } = loadConfig(env);
    const all = encodeURIComponent("-c a=b -c search_path=own,pg_temp");
    expect(databaseUrl).toBe(`postgres://h/d?sslmode=require&options=${all}`);
    // A worker is handed the whole.
    expect(loadConfig({ ...env, DATABASE_URL: databaseUrl }).databaseUrl).toBe(databaseUrl);
  });

  test("is said once", () => {
    const env = {
      DATABASE_URL: "postgres://h/d?options=-c%20search_path%3Da",
      BALANCECTL_SCHEMA: "own",
    };
    expect(problems(env)).toEqual([
      "DATABASE_URL says a search_path in its options, and BALANCECTL_SCHEMA another",
    ]);
  });

  test.each(["Own", "pg_own", "1own", "own;drop", 'o"wn', "own-er", "x".repeat(64)])(
    "is not %s",
    (name) => {
      expect(problems({ BALANCECTL_SCHEMA: name })).toEqual([
        expect.stringMatching(/^BALANCECTL_SCHEMA must be a name of lower-case letters/),
      ]);
    },
  );
});

describe("what Kubernetes says of a Service called balancectl", () => {
  test("is no setting", () => {
    const links = {
      ...{ BALANCECTL_SERVICE_HOST: "10.0.0.7", BALANCECTL_SERVICE_PORT: "80" },
      ...{ BALANCECTL_SERVICE_PORT_HTTP: "80", BALANCECTL_PORT: "tcp://10.0.0.7:80" },
      ...{ BALANCECTL_PORT_80_TCP: "tcp://10.0.0.7:80", BALANCECTL_PORT_80_TCP_PROTO: "tcp" },
      ...{ BALANCECTL_PORT_80_TCP_PORT: "80", BALANCECTL_PORT_80_TCP_ADDR: "10.0.0.7" },
      ...{ BALANCECTL_DB_SERVICE_HOST: "10.0.0.8", BALANCECTL_DB_PORT_5432_TCP_ADDR: "10.0.0.8" },
      ...{ BALANCECTL_DB_PORT: "tcp://10.0.0.8:5432", BALANCECTL_SERVICE_PORT_METRICS_V2: "9" },
    };
    expect(loadConfig(links)).toEqual(loadConfig({}));
  });

  test("but its likes are", () => {
    for (const name of ["BALANCECTL_PORT", "BALANCECTL_SERVICE_PORTS", "BALANCECTL_HOST"]) {
      expect(problems({ [name]: "3000" })).toEqual([
        `${name} is not a setting; .env.example names them all`,
      ]);
    }
  });
});

describe("refused", () => {
  const numbers = settingNames.filter((name) => problems({ [name]: "-1" }).length > 0);

  test.each(
    numbers.filter(
      (name) =>
        ![
          ...["DATABASE_URL", "LOG_LEVEL", "BALANCECTL_REQUIRE_KEYS", "BALANCECTL_SCHEMA"],
          ...["BALANCECTL_ALLOWED_ORIGINS", "BALANCECTL_TRUSTED_PROXIES"],
          ...["BALANCECTL_ALLOW_ANONYMOUS", "BALANCECTL_TOKENS"],
        ].includes(name),
    ),
  )("%s is a whole number and nothing like one", (name) => {
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
  });

  test("room to wait that a full batch of transfers would never find", () => {
    expect(problems({ BALANCECTL_WAITING_MAX: "499" })).toEqual([
      'BALANCECTL_WAITING_MAX must be a whole number from 500 to 1000000 (it is "499")',
    ]);
  });

  test("all at once, a line each", () => {
    const all = problems(Object.fromEntries(settingNames.map((name) => [name, "! "])));
    const named = all.map((line) => line.split(" ")[0]);
    const free = [
      ...["HOST", "BALANCECTL_DATA_DIR", "BALANCECTL_ALLOWED_HOSTS"],
      ...["BALANCECTL_TOKENS_FILE", "BALANCECTL_TOKEN", "BALANCECTL_TOKEN_FILE"],
    ];
    expect(named.sort()).toEqual(settingNames.filter((name) => !free.includes(name)).sort());
  });

  test.each(["mysql://h/d", "h/d", "postgres:/h", "postgres://h:x/d", "postgres://h/%zz", " "])(
    "DATABASE_URL %s",
    (url) => {
      expect(problems({ DATABASE_URL: url })).toEqual([
        expect.stringMatching(/^DATABASE_URL must be a /),
      ]);
    },
  );

  test.each(["https://a.example/", "https://a.example:443", "a.example", "null", "*"])(
    "the origin %s",
    (text) => {
      expect(problems({ BALANCECTL_ALLOWED_ORIGINS: text })).toEqual([
        expect.stringMatching(/^BALANCECTL_ALLOWED_ORIGINS must be origins like https/),
      ]);
    },
  );

  test.each(["10.0.0.0/33", "::/129", "10.0.0", "proxy", "10.0.0.0/"])("the proxy %s", (text) => {
    expect(problems({ BALANCECTL_TRUSTED_PROXIES: text })).toEqual([
      expect.stringMatching(/^BALANCECTL_TRUSTED_PROXIES must be addresses or networks/),
    ]);
  });

  test("tokens, without showing any", () => {
    const secret = "s3cret".repeat(8);
    for (const text of [`shop:owner:${secret}`, `shop:write:${secret.slice(0, 31)}`, secret]) {
      const [problem, ...more] = problems({ BALANCECTL_TOKENS: `a:read:${secret},${text}` });
      expect(more).toEqual([]);
      expect(problem).toMatch(/^BALANCECTL_TOKENS must be NAME:SCOPE:TOKEN, and number 2 is not/);
      expect(problem).not.toContain("s3cret");
    }
    expect(problems({ BALANCECTL_TOKENS: `a:read:bctl_${secret}` })).toEqual([
      "BALANCECTL_TOKENS has a token that was cut or mistyped: the one of a",
    ]);
  });

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
    const { DATABASE_URL, BALANCECTL_DATA_DIR, ...rest } = Object.fromEntries(await examples());
    expect(BALANCECTL_DATA_DIR).toBe("");
    expect(loadConfig(rest)).toEqual(loadConfig({}));
    expect(problems({ DATABASE_URL: DATABASE_URL as string })).toEqual([]);
    const empty = Object.entries(rest).filter(([, value]) => value === "");
    expect(empty.map(([name]) => name)).toEqual([
      ...["BALANCECTL_TOKENS", "BALANCECTL_TOKENS_FILE", "BALANCECTL_SCHEMA"],
      ...["BALANCECTL_ALLOWED_HOSTS", "BALANCECTL_ALLOWED_ORIGINS", "BALANCECTL_TRUSTED_PROXIES"],
      ...["BALANCECTL_TOKEN", "BALANCECTL_TOKEN_FILE"],
    ]);
  });

  test("sets nothing as it is", async () => {
    const text = await readFile(join(packageRoot, ".env.example"), "utf8");
    expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  });
});

test("every setting is known by its name", () => {
  expect(settingNames.filter((name) => !isSettingName(name))).toEqual([]);
  expect(["HOME", "PATH", "POSTGRES_PASSWORD"].filter(isSettingName)).toEqual([]);
});
