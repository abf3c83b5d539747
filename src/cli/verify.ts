import { BalancectlError } from "../errors.ts";
import { type Finding, verify as verifyLedger } from "../ledger/verify.ts";
import type { Context } from "./context.ts";
import { counted, grouped } from "./output.ts";
import { withLedger } from "./with-ledger.ts";

/** @returns the exit code: 0 when everything agrees, 1 on any finding */
export async function verify(context: Context, flags: { user?: number }): Promise<number> {
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
    const lines = findings.flatMap((finding) => findingLines(finding, output));
    return [...lines, paint.red.bold(`✗ ${scope}: ${counted(findings.length, "finding")}`)].join(
      "\n",
    );
  });
  return result.ok ? 0 : 1;
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
