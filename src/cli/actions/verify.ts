import { BalancectlError } from "../../errors.ts";
import { type Finding, verify as verifyLedger } from "../../ledger/verify.ts";
import type { VerifyFlags } from "../commands/verify.ts";
import type { Context } from "../context.ts";
import { counted, grouped } from "../output.ts";
import { withLedger } from "../with-ledger.ts";

/** A screenful, at two lines each, on which one looks for the cause; more are counted. */
const findingsShown = 20;

/** @returns the exit code: 0 when everything agrees, 1 on any finding */
export async function verify(context: Context, flags: VerifyFlags): Promise<number> {
  const { output } = context;
  const { paint } = output;
  const result = await withLedger(context, async (_ledger, url) => {
    const progress = output.progress("Verifying");
    try {
      return await verifyLedger(url, {
        userId: flags.user,
        signal: context.stopping,
        onProgress: (done, total) =>
          progress.update(`Verifying: ${grouped(done)} of ${grouped(total)} entries`),
      });
    } finally {
      progress.end();
    }
  });
  if (flags.user !== undefined && result.users === 0) {
    throw new BalancectlError("USER_NOT_FOUND", `User ${flags.user} not found`);
  }
  output.result(result, () => {
    const { ok, users, entries, findings } = result;
    const scope = `${counted(users, "user")}, ${counted(entries, "entry", "entries")}`;
    if (ok) return paint.green(`✔ ${scope}: everything agrees`);
    const shown = flags.all ? findings : findings.slice(0, findingsShown);
    const lines = shown.flatMap((finding) => findingLines(finding, output));
    if (shown.length < findings.length) lines.push(...moreLines(findings, shown.length));
    return [...lines, paint.red.bold(`✗ ${scope}: ${counted(findings.length, "finding")}`)].join(
      "\n",
    );
  });
  return result.ok ? 0 : 1;
}

/** How many of each kind, and how all are seen. */
function moreLines(findings: readonly Finding[], shown: number): string[] {
  const counts = new Map<string, number>();
  for (const { check } of findings) counts.set(check, (counts.get(check) ?? 0) + 1);
  return [
    `${counted(findings.length - shown, "more finding")}, shown by --all. By check:`,
    ...[...counts].map(([check, count]) => `  ${check}: ${grouped(count)}`),
  ];
}

function findingLines(finding: Finding, { paint }: Context["output"]): string[] {
  const { userId, version, check, expected, found } = finding;
  const where = userId === null ? "database" : `user ${userId}, version ${version}`;
  return [
    `${paint.red(where)} (${check}): expected ${expected}, found ${found}`,
    ...(userId === null || version === null ? [] : [paint.dim(`  ${lookingSql(userId, version)}`)]),
  ];
}

/** SQL that shows the entries around the one that diverges. */
function lookingSql(userId: number, version: number): string {
  return `SELECT * FROM entries WHERE user_id = ${userId} AND version BETWEEN ${Math.max(version - 2, 0)} AND ${version + 2} ORDER BY version;`;
}
