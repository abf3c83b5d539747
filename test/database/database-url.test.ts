/** DATABASE_URL: one reading for all connections, and words for what means nothing. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { connectDatabase } from "../../src/database/connection.ts";
import {
  connectionParts,
  databaseLabel,
  settingsNeeded,
} from "../../src/database/connection-parts.ts";
import { ensureDatabase } from "../../src/database/ensure-database.ts";
import { migrateUp } from "../../src/database/migrator.ts";
import { requireOneServer } from "../../src/database/one-server.ts";
import { completeDatabaseUrl, parseDatabaseUrl } from "../../src/database-url.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { adjustment } from "../../src/ledger/request.ts";
import { verify } from "../../src/ledger/verify.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase, psql, testBounds } from "../support/database/database.ts";
import { dropDatabase } from "../support/global-setup.ts";
import { commandLine } from "../support/server/command-line.ts";
import { balancectl } from "../support/server/program.ts";

describe("is read", () => {
  const everyProven = ["scram-sha-256", "none"];
  const every = ["password", "md5", ...everyProven];
  const plain = { host: "h", port: 5432, user: undefined, password: undefined, database: "d" };

  test.each<[string, object]>([
    ["postgres://h/d", plain],
    ["postgresql://h:6000/d", { ...plain, port: 6_000 }],
    ["postgres://u@h/d", { ...plain, user: "u" }],
    ["postgres://u:p:w@h/d", { ...plain, user: "u", password: "p:w" }],
    ["postgres://u%40x:%3A%2F%3F%23%25%20@h/d", { ...plain, user: "u@x", password: ":/?#% " }],
    [
      "postgres://u:a+b@h/a%2Fb%3Fc%23d",
      { ...plain, user: "u", password: "a+b", database: "a/b?c#d" },
    ],
    ["postgres://h/%C3%A9%20d", { ...plain, database: "é d" }],
    ["postgres://[::1]:6000/d", { ...plain, host: "::1", port: 6_000 }],
    ["postgres:///d?host=/var/run/postgresql", { ...plain, host: "/var/run/postgresql" }],
    [
      "postgres://u@/d?host=/tmp/a%20b&port=6000",
      { ...plain, host: "/tmp/a b", port: 6_000, user: "u" },
    ],
    ["postgres://%2Ftmp/d", { ...plain, host: "/tmp" }],
    ["postgres://h/x?dbname=d&user=u&password=p", { ...plain, user: "u", password: "p" }],
    ["postgres://other:1/d?host=h&port=5432", plain],
    ["postgres://", { ...plain, host: "localhost", database: undefined }],
    ["postgres://h", { ...plain, database: undefined }],
    ["postgres://h/d?sslmode=require", { ...plain, tls: "require" }],
    [
      "postgres://h/d?sslmode=require&sslrootcert=f",
      { ...plain, tls: "verify-ca", sslrootcert: "f" },
    ],
    ["postgres://h/d?sslmode=verify-full&sslrootcert=system", { ...plain, tls: "verify-full" }],
    ["postgres://h/d?ssl=true", { ...plain, tls: "verify-full" }],
    ["postgres://h/d?ssl=0", { ...plain, tls: "disable" }],
    ["postgres://h/d?sslmode=no-verify", { ...plain, tls: "require" }],
    ["postgres://h/d?sslmode=require&uselibpqcompat=true", { ...plain, tls: "require" }],
    ["postgres:///d?host=/tmp&sslmode=require", { ...plain, host: "/tmp", tls: "disable" }],
    ["postgres://h/d?options=-c%20search_path%3Da", { ...plain, options: "-c search_path=a" }],
    [
      "postgres://h/d?connect_timeout=2&application_name=x%26y",
      { ...plain, connectTimeoutSeconds: 2, applicationName: "x&y" },
    ],
    [
      "postgres://a:1,b:2/d",
      {
        places: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
        ],
      },
    ],
    [
      "postgres://u:p@a,[::1]:7,b/d?target_session_attrs=any",
      {
        ...{ user: "u", password: "p", target: "any" },
        places: [
          { host: "a", port: 5_432 },
          { host: "::1", port: 7 },
          { host: "b", port: 5_432 },
        ],
      },
    ],
    [
      "postgres:///d?host=a,b&port=1,2&target_session_attrs=primary",
      {
        target: "primary",
        places: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
        ],
      },
    ],
    [
      "postgres:///d?host=a,b&port=6",
      {
        places: [
          { host: "a", port: 6 },
          { host: "b", port: 6 },
        ],
      },
    ],
    ["postgres://h/d?require_auth=password,md5", { ...plain, auth: ["password", "md5"] }],
    ["postgres://h/d?require_auth=!none", { ...plain, auth: ["password", "md5", "scram-sha-256"] }],
    ["postgres://h/d?require_auth=", plain],
    [
      "postgres://h/d?sslmode=verify-full&require_auth=scram-sha-256",
      { ...plain, tls: "verify-full", auth: ["scram-sha-256"] },
    ],
    ["postgres://h/d?target_session_attrs=read-write", { ...plain, target: "read-write" }],
  ])("%s", (url, wanted) => {
    const { host, port, ...parts } = { ...plain, ...wanted };
    const none = {
      sslrootcert: undefined,
      sslcert: undefined,
      sslkey: undefined,
      options: undefined,
    };
    const others = { applicationName: undefined, connectTimeoutSeconds: undefined, tls: "disable" };
    const several = "places" in parts;
    const auth = "tls" in parts && parts.tls === "verify-full" ? every : everyProven;
    const where = { places: [{ host, port }], target: several ? "read-write" : "any" };
    expect(parseDatabaseUrl(url)).toEqual({ ...none, ...others, ...where, auth, ...parts });
  });

  test.each<[string, RegExp]>([
    ["mysql://h/d", /begins with postgres:/],
    ["postgres://h:x/d", /its port is a number/],
    ["postgres://h:0/d", /its port is a number/],
    ["postgres://h:65536/d", /its port is a number/],
    ["postgres://h/d?port=1e3", /its port is a number/],
    ["postgres://h/%zz", /% is followed by two/],
    ["postgres://u:50%@h/d", /% is followed by two/],
    ["postgres://h/%ff", /% is followed by two/],
    ["postgres://h/a%00b", /has %00/],
    ["postgres://u:p@ss@h/d", /has two @/],
    ["postgres://u:p#s@h/d", /has a blank or a #/],
    ["postgres://h/my db", /has a blank or a #/],
    ["postgres://h1,,h2/d", /comma too many between its hosts/],
    ["postgres://h1:1,h2:x/d", /its port is a number/],
    ["postgres:///d?host=a,b&port=1,2,3", /has 2 hosts and 3 ports: as many of both, or one port/],
    ["postgres://a,b/d?target_session_attrs=standby", /target_session_attrs=standby: changes need/],
    ["postgres:///d?host=/tmp,b&sslmode=require", /one of its hosts is a socket/],
    ["postgres://h/d?schema=app", /has the parameter "schema", which means nothing here \(host, /],
    ["postgres://h/d?pgbouncer=true", /"pgbouncer"/],
    ["postgres://h/d?connection_limit=5", /"connection_limit"/],
    ["postgres://h/d?SSLMODE=require", /"SSLMODE"/],
    ["postgres://h/d?__proto__=1", /"__proto__"/],
    ["postgres://h/d?host=a&host=b", /has the parameter host twice/],
    ["postgres://h/d?sslmode=prefer", /has an sslmode that is none of/],
    ["postgres://h/d?sslmode=verify-ca", /without sslrootcert/],
    ["postgres://h/d?ssl=true&sslmode=disable", /both ssl and sslmode/],
    ["postgres://h/d?uselibpqcompat=false", /means here what it means to psql/],
    ["postgres://h/d?require_auth=gss", /require_auth that is no list of password, md5, /],
    ["postgres://h/d?require_auth=!md5,none", /require_auth that is no list/],
    ["postgres://h/d?connect_timeout=soon", /no whole number of seconds/],
  ])("but not %s", (url, words) => {
    expect(() => parseDatabaseUrl(url)).toThrow(words);
  });

  test.each<[string, Record<string, string>, Record<string, unknown>]>([
    [
      "postgres://h/d",
      { PGPORT: "6000", PGUSER: "u", PGPASSWORD: "p w" },
      { port: 6_000, user: "u", password: "p w" },
    ],
    [
      "postgres://h:1/d",
      { PGPORT: "6000", PGHOST: "x", PGDATABASE: "y" },
      { host: "h", port: 1, database: "d" },
    ],
    ["postgres://", { PGHOST: "/tmp", PGDATABASE: "a&b" }, { host: "/tmp", database: "a&b" }],
    ["postgres://h/d", { PGSSLMODE: "require" }, { tls: "require" }],
    ["postgres://h/d?ssl=0", { PGSSLMODE: "require" }, { tls: "disable" }],
    ["postgres://h/d", { PGREQUIREAUTH: "md5" }, { auth: ["md5"] }],
    [
      "postgres://h/d?port=7",
      { PGPORT: "6000", PGOPTIONS: "-c a=b" },
      { port: 7, options: "-c a=b" },
    ],
    [
      "postgres://a,b/d",
      { PGPORT: "6000", PGTARGETSESSIONATTRS: "any" },
      { port: 6_000, target: "any" },
    ],
  ])("%s with %j from the environment", (url, env, parts) => {
    const { host, port, ...others } = parts;
    const read = parseDatabaseUrl(completeDatabaseUrl(url, env));
    expect(read).toMatchObject(others);
    for (const place of read.places) {
      if (host !== undefined) expect(place.host).toBe(host);
      if (port !== undefined) expect(place.port).toBe(port);
    }
  });

  test("and shown without who connects", () => {
    expect(databaseLabel("postgres://u:secret@h/my%20db?application_name=x")).toBe(
      "PostgreSQL my db at h:5432",
    );
    expect(databaseLabel("postgres://u:secret@a,b:6/d")).toBe("PostgreSQL d at a:5432 or b:6");
    expect(databaseLabel("postgres://u:secret@[::1]:6/d")).toBe("PostgreSQL d at [::1]:6");
    expect(databaseLabel("postgres://u@/d?host=/tmp")).toBe("PostgreSQL d at /tmp:5432");
  });
});

describe("names one database to everything", () => {
  /** The server of the tests, with other names. */
  function on(serverUrl: string, user: string, password: string, database: string): string {
    const { hostname, port } = new URL(serverUrl);
    const [u, p, d] = [user, password, database].map(encodeURIComponent);
    return `postgres://${u}:${p}@${hostname}:${port}/${d}`;
  }

  test.each([
    ["a blank", "my db"],
    ["what URLs are made of", "a/b?c#d%e@f:g&h=i+j"],
    ["quotes and a backslash", `o'b"j\\k`],
    ["letters of the world", "счёт-é"],
  ])("with %s in user, password and name", async (_name, odd) => {
    const serverUrl = await createTestDatabase();
    const name = `${odd} ${randomBytes(4).toString("hex")}`;
    const ident = `"${name.replaceAll('"', '""')}"`;
    const literal = `'${name.replaceAll("'", "''")}'`;
    await psql(serverUrl, `CREATE ROLE ${ident} LOGIN SUPERUSER PASSWORD ${literal}`);
    const url = on(serverUrl, name, name, name);
    afterFile(async () => {
      await dropDatabase(serverUrl, name);
      await psql(serverUrl, `DROP ROLE ${ident}`);
    });
    expect(await ensureDatabase(url)).toBe(true);
    expect(await ensureDatabase(url)).toBe(false);
    await migrateUp(url);
    const database = connectDatabase(url, testBounds);
    const ledger = createLedger(database, { bounds: testBounds });
    try {
      await requireOneServer(database);
      expect((await ledger.apply(adjustment(1, -100))).balance).toBe(9_900);
      expect((await ledger.user(1)).balance).toBe(9_900);
    } finally {
      await database.close();
    }
    expect((await verify(url)).findings).toEqual([]);
    const line = commandLine(url);
    expect(await line.json("users", "show", "1")).toMatchObject({ data: { balance: 9_900 } });
    const { stderr } = await line.run("migrate", "status");
    expect(stderr).toContain(`PostgreSQL ${name} at `);
  });

  test("where the port comes from the environment", async () => {
    const { username, password, hostname, port, pathname } = new URL(await createTestDatabase());
    const env = {
      DATABASE_URL: `postgres://${hostname}${pathname}`,
      ...{ PGPORT: port, PGUSER: username, PGPASSWORD: decodeURIComponent(password) },
    };
    const run = (...args: string[]) => balancectl(args, env);
    expect((await run("adjust", "1", "-100")).stdout).toContain("9,900");
    expect((await run("users", "show", "1")).stdout).toContain("9,900");
    expect((await run("migrate", "status")).stderr).toContain(`at ${hostname}:${port}\n`);
  });
});

test("a database whose defaults change what statements mean", async () => {
  const url = await createTestDatabase();
  const name = new URL(url).pathname.slice(1);
  for (const setting of [
    "default_transaction_isolation = 'serializable'",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'iso_8601'",
    "timezone = 'Asia/Kathmandu'",
  ]) {
    await psql(url, `ALTER DATABASE ${name} SET ${setting}`);
  }
  const two = [1, 2].map(() => connectDatabase(url, testBounds));
  try {
    const ledgers = two.map((database) => createLedger(database, { bounds: testBounds }));
    const outcomes = await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => ledgers[n % 2]?.apply(adjustment(1, -2))),
    );
    expect(outcomes.filter((one) => one?.refusal === null).length).toBe(2_000);
    const user = await ledgers[0]?.user(1);
    expect(user?.balance).toBe(6_000);
    expect(Math.abs((user?.updatedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  } finally {
    await Promise.all(two.map((database) => database.close()));
  }
  expect((await verify(url)).findings).toEqual([]);
});

test("options of the URL come first, and ours have the last word", () => {
  const options = encodeURIComponent("-c search_path=a,\\ b --DateStyle=SQL -cmy.own=1");
  const url = `postgres://h/d?options=${options}`;
  expect(settingsNeeded(url)).toEqual({
    ...{ search_path: "a, b", "my.own": "1", DateStyle: "ISO" },
    ...{ IntervalStyle: "postgres", default_transaction_isolation: "read committed" },
  });
  expect(connectionParts(url).options).toBe(undefined);
  // What is no setting goes with the start of the connection.
  expect(connectionParts("postgres://h/d?options=-B%2010").options).toBe("-B 10");
});
