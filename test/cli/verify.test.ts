import { expect, test } from "vitest";
import { psql } from "../support/database/database.ts";
import {
  cloneDatabase,
  createHealthyLedger,
  healthy,
  tamper,
} from "../support/oracle/healthy-ledger.ts";
import { commandLine, connecting, failure } from "../support/server/command-line.ts";

const healthyUrl = await createHealthyLedger();
const url = await cloneDatabase(healthyUrl);
const badUrl = await cloneDatabase(healthyUrl);
await tamper(
  badUrl,
  `UPDATE entries SET amount = -31 WHERE user_id = 11 AND version = 2;
   UPDATE users SET held = 99 WHERE id = 15`,
);
await psql(badUrl, "ALTER TABLE users DISABLE TRIGGER users_keep_history");
const [good, bad] = [commandLine(url), commandLine(badUrl)];
const verifying = `${connecting}Verifying\n`;

test("a ledger that agrees: exit code 0", async () => {
  const scope = `${healthy.users} users, ${healthy.entries} entries`;
  await good.expectRun(["verify"], {
    stdout: `✔ ${scope}: everything agrees\n`,
    stderr: verifying,
  });
  expect(await good.json("verify")).toEqual({ ok: true, ...healthy, findings: [] });
  expect(await good.json("verify", "--user", "15")).toEqual({
    ...{ ok: true, users: 1, entries: 13, findings: [] },
  });
});

test("one that does not: exit code 1, each finding named, with SQL to look at it", async () => {
  const { code, stdout, stderr } = await bad.spawn("verify");
  const sql = (user: number, from: number, to: number) =>
    `  SELECT * FROM entries WHERE user_id = ${user} AND version BETWEEN ${from} AND ${to} ORDER BY version;`;
  expect([code, stdout.split("\n"), stderr]).toEqual([
    1,
    [
      "user 11, version 2 (chain): expected balance 100 + -31 = 69, found balance 70",
      sql(11, 0, 4),
      "user 15, version 13 (held): expected held 100, found held 99",
      sql(15, 11, 15),
      "database (guard): expected trigger users_keep_history, found disabled or not valid",
      `✗ ${healthy.users} users, ${healthy.entries} entries: 3 findings`,
      "",
    ],
    verifying,
  ]);
  // As pasted into psql, the SQL shows the entry that was named and those around it.
  const seen = [];
  for (const line of stdout.split("\n").filter((text) => text.includes("SELECT"))) {
    seen.push((await psql(badUrl, line)).map(({ version }) => Number(version)));
  }
  expect(seen).toEqual([
    [1, 2, 3, 4],
    [11, 12, 13],
  ]);
});

test("many findings are counted by check, after the first 20; --all prints them", async () => {
  const many = await cloneDatabase(healthyUrl);
  await tamper(
    many,
    `INSERT INTO users (id, balance, version) SELECT i, 7, 0 FROM generate_series(101, 123) i;
     UPDATE users SET held = 99 WHERE id = 15`,
  );
  const cli = commandLine(many);
  const { code, stdout } = await cli.run("verify");
  const lines = stdout.trimEnd().split("\n");
  const { findings } = JSON.parse((await cli.run("verify", "--json")).stdout) as {
    findings: { check: string }[];
  };
  const others = findings.filter(({ check }) => check !== "held");
  const check = others[0]?.check;
  expect(others).toEqual(Array.from({ length: 23 }, () => expect.objectContaining({ check })));
  expect([code, lines.length, lines.slice(40)]).toEqual([
    1,
    44,
    [
      "4 more findings, shown by --all. By check:",
      `  ${check}: 23`,
      "  held: 1",
      `✗ ${healthy.users + 23} users, ${healthy.entries} entries: 24 findings`,
    ],
  ]);
  const all = (await cli.run("verify", "--all")).stdout.trimEnd().split("\n");
  expect([all.length, all.at(-1), all.slice(0, 40)]).toEqual([
    49,
    lines.at(-1),
    lines.slice(0, 40),
  ]);
});

test("--json is one document with the findings", async () => {
  const { code, stdout, stderr } = await bad.spawn("verify", "--json");
  expect([code, stderr, stdout.split("\n").length]).toEqual([1, "", 2]);
  const guard = {
    ...{ userId: null, version: null, check: "guard" },
    ...{ expected: "trigger users_keep_history", found: "disabled or not valid" },
  };
  const chain = {
    ...{ userId: 11, version: 2, check: "chain" },
    ...{ expected: "balance 100 + -31 = 69", found: "balance 70" },
  };
  const held = {
    ...{ userId: 15, version: 13, check: "held" },
    ...{ expected: "held 100", found: "held 99" },
  };
  expect(JSON.parse(stdout)).toEqual({ ok: false, ...healthy, findings: [chain, held, guard] });
  const one = await bad.run("verify", "--json", "--user", "11");
  expect([one.code, JSON.parse(one.stdout)]).toEqual([
    1,
    { ok: false, users: 1, entries: 4, findings: [chain, guard] },
  ]);
});

test("what cannot be verified is not reported as agreeing", async () => {
  await good.expectRun(["verify", "--user", "99"], {
    ...{ code: 3, stderr: `${verifying}balancectl: User 99 not found\n` },
  });
  const away = commandLine("postgres://nobody@127.0.0.1:1/none");
  await away.expectRun(["verify", "--json"], {
    code: 1,
    ...failure(
      "DATABASE_UNAVAILABLE",
      "The database cannot be reached; nothing was changed (connect ECONNREFUSED 127.0.0.1:1)",
    ),
  });
  const old = await cloneDatabase(healthyUrl);
  await psql(old, "DELETE FROM schema_migrations WHERE name = '0005-version-at'");
  const { code, stdout } = await commandLine(old).run("verify", "--json");
  expect([code, JSON.parse(stdout).error.code]).toEqual([1, "SCHEMA_OUTDATED"]);
});
