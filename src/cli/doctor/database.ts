/** What a database is like on which a server would work: its settings, its schema, its guards, its rights. */
import type { Config } from "../../config.ts";
import { remedyOf } from "../../database/alterations.ts";
import { connectDatabase } from "../../database/connection.ts";
import { connect } from "../../database/migration-connection.ts";
import { schemaStatus } from "../../database/migrator.ts";
import { remarksOn } from "../../database/remarks.ts";
import { missingRights } from "../../database/rights.ts";
import { guardCheck } from "../../ledger/verify-checks.ts";
import type { OpenedDatabase } from "../../service/open-database.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { judgeServer, type ServerSettings, serverSettingsSql } from "./server-settings.ts";

/** @throws BalancectlError DATABASE_UNAVAILABLE, and what a schema that is not ours throws */
export async function checkDatabase(
  { url, embedded }: OpenedDatabase,
  config: Config,
): Promise<Check[]> {
  const checks = judgeServer(await readServerSettings(url), connectionsOf(config));
  const { applied, pending, unknown, altered, schema } = await schemaStatus(url);
  const latest = applied.at(-1) ?? "none";
  if (unknown.length > 0) {
    const advice = "Use the newer balancectl that has made it";
    return [...checks, fail("schema", `newer than this program: ${unknown.join(", ")}`, advice)];
  }
  if (pending.length > 0) {
    const found = `${latest}; lacks ${pending.join(", ")}`;
    const isEasy = embedded || applied.length === 0;
    const advice = "Run `balancectl migrate`; serve and stress do it by themselves";
    checks.push((isEasy ? warn : fail)("schema", found, advice));
  } else checks.push(ok("schema", latest));
  checks.push(...altered.map((one) => fail("text", one.name, remedyOf(one, schema))));
  if (altered.length === 0 && applied.length > 0) {
    checks.push(ok("text", "migrations and functions are as shipped"));
  }
  if (pending.length === 0)
    checks.push(...(await checkGuards(url)), await checkRights(url, config));
  const remarks = await remarksOn(url);
  return [...checks, ...remarks.map((remark) => warn("topology", remark, "See docs/operating.md"))];
}

/** Lanes, as many again and one for accounts that are locked, those for reads, and one that says we are here. */
function connectionsOf({ lanes, readConnectionsMax }: Config): number {
  return 2 * lanes + 1 + readConnectionsMax + 1;
}

async function readServerSettings(url: string): Promise<ServerSettings> {
  const client = await connect(url);
  try {
    const before = Date.now();
    const { rows } = await client.query<ServerSettings & { clockMs: number }>(serverSettingsSql);
    const after = Date.now();
    const [{ clockMs, ...settings }] = rows as [ServerSettings & { clockMs: number }];
    return {
      ...settings,
      clockAheadMs: clockMs - (before + after) / 2,
      clockDoubtMs: (after - before) / 2,
    };
  } finally {
    await client.end();
  }
}

async function checkGuards(url: string): Promise<Check[]> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<{ expected: string; found: string }>(guardCheck.sql);
    if (rows.length === 0)
      return [ok("guards", "all are there, enabled, and call what they should")];
    return rows.map(({ expected, found }) =>
      fail(
        "guards",
        `${expected}: ${found}`,
        found === "disabled or not valid"
          ? "Enable it again (ALTER TABLE ... ENABLE TRIGGER, or VALIDATE CONSTRAINT), then `balancectl verify`: " +
              "balances may have been changed past the journal"
          : "Make it again as the migration has it, then `balancectl verify`: balances may have been changed past the journal",
      ),
    );
  } finally {
    await client.end();
  }
}

async function checkRights(url: string, config: Config): Promise<Check> {
  const database = connectDatabase(url, { ...config, readConnectionsMax: 1 });
  try {
    const missing = await missingRights(database.sequelize);
    if (missing.length === 0) return ok("rights", "the role may do what a server has to");
    const found = `the role may not: ${missing.join(", ")}`;
    return fail("rights", found, "Let it (GRANT), or use a role that may");
  } finally {
    await database.close();
  }
}
