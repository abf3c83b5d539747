import { expect, test } from "vitest";
import { commandLine, connecting, failure } from "../support/command-line.ts";
import { psql } from "../support/database.ts";
import { cloneDatabase, createHealthyLedger, healthy, tamper } from "../support/healthy-ledger.ts";

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
