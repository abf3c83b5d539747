import type { Config } from "../../config.ts";
import { asBalancectlError, type BalancectlError } from "../../errors.ts";
import { readFileLimits } from "../../file-limits.ts";
import { openDatabase } from "../../service/open-database.ts";
import type { Context } from "../context.ts";
import { type Check, fail, ok } from "../doctor/check.ts";
import { checkDatabase } from "../doctor/database.ts";
import { checkDisk, checkNode, checkOpenFiles } from "../doctor/machine.ts";
import { counted, type Output } from "../output.ts";

/**
 * Looks at all that a ledger stands on, changes nothing, and says what to do where something is not well.
 * @returns the exit code: 1 when something is broken, else 0, also with warnings
 */
export async function doctor(context: Context): Promise<number> {
  const { output } = context;
  const checks = [checkNode(process.version), checkOpenFiles(readFileLimits())];
  checks.push(...(await checkLedger(context)));
  const failed = checks.filter(({ state }) => state === "fail").length;
  const warned = checks.filter(({ state }) => state === "warn").length;
  output.result({ ok: failed === 0, checks }, () =>
    [
      ...checks.flatMap((check) => checkLines(check, output)),
      "",
      verdict(failed, warned, output),
    ].join("\n"),
  );
  return failed === 0 ? 0 : 1;
}

async function checkLedger(context: Context): Promise<Check[]> {
  let config: Config;
  try {
    config = await context.loadConfig();
  } catch (error) {
    const { message } = asBalancectlError(error);
    return [fail("settings", message, "`balancectl config` shows where each is from")];
  }
  const { dataDir } = config;
  const checks = [ok("settings", "valid")];
  if (dataDir !== undefined) checks.push(await checkDisk(dataDir));
  const progress = context.output.progress("Connecting to the database");
  try {
    const opened = await openDatabase(config, context.stopping, progress.update);
    try {
      const found = await checkDatabase(opened, config);
      return [...checks, ok("database", opened.label), ...found];
    } finally {
      await opened.close();
    }
  } catch (error) {
    context.stopping.throwIfAborted();
    return [...checks, unreachable(asBalancectlError(error))];
  } finally {
    progress.end();
  }
}

function unreachable({ code, message, cause }: BalancectlError): Check {
  const why = cause instanceof Error && !message.includes(cause.message) ? cause.message : "";
  const found = why === "" ? message : `${message} (${why})`;
  const advice =
    code === "DATABASE_UNAVAILABLE"
      ? "Look at DATABASE_URL (`balancectl config`), whether the server runs, and whether it may be reached from here"
      : "What is said above is the reason";
  return fail("database", found, advice);
}

function checkLines({ name, state, found, advice }: Check, { paint }: Output): string[] {
  const mark = { ok: paint.green("✔"), warn: paint.yellow("!"), fail: paint.red("✗") }[state];
  const [first = "", ...rest] = found.split("\n");
  const indent = " ".repeat(22);
  return [
    `${mark} ${name.padEnd(20)}${first}`,
    ...rest.map((line) => indent + line),
    ...(advice === undefined ? [] : [paint.dim(`${indent}→ ${advice}`)]),
  ];
}

function verdict(failed: number, warned: number, { paint }: Output): string {
  const warnings = counted(warned, "warning");
  if (failed > 0) return paint.red.bold(`✗ ${counted(failed, "failure")}, ${warnings}`);
  return warned > 0 ? paint.yellow(`! ${warnings}`) : paint.green("✔ all is well");
}
