/** On a terminal: a pseudo-terminal of util-linux's script(1), of any size. */
import pg from "pg";
import { describe, expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { script } from "../support/server/program.ts";
import { hasTerminal, openTerminal } from "../support/server/terminal.ts";

const databaseUrl = await createTestDatabase();

/** What the terminal got, and the exit code. */
async function onTerminal(columns: number, args: string, env: Record<string, string> = {}) {
  const terminal = openTerminal(`stty cols ${columns} rows 24; ${run(args)}`, {
    DATABASE_URL: databaseUrl,
    ...env,
  });
  const code = await terminal.exitCode;
  return { code, seen: terminal.seen() };
}

function run(args: string): string {
  return `${process.execPath} ${script} ${args}`;
}

/** Escape codes that move or hide the cursor, or clear: what a spinner is made of. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with one
const redrawing = /\x1b\[[?\d]*[A-Klh]|\r(?!\n)/;

describe.skipIf(!hasTerminal)("a spinner", () => {
  test("is drawn on a terminal that has a width", async () => {
    const { code, seen } = await onTerminal(80, "users show 1");
    expect([code, redrawing.test(seen)]).toEqual([0, true]);
  });

  test("is drawn in one column as well, and ends", async () => {
    const { code, seen } = await onTerminal(1, "users show 1");
    expect([code, redrawing.test(seen), seen.length < 10_000]).toEqual([0, true, true]);
  });

  test.each([
    [0, "users show 1", {}],
    [0, "verify", {}],
    [0, "migrate status", {}],
    [0, "adjust 1 -2 --json", {}],
    [80, "users show 1", { CI: "true" }],
    [80, "users show 1", { CI: "1" }],
    [80, "users show 1", { TERM: "dumb" }],
    [80, "users show 1", { NO_COLOR: "1" }],
    [80, "verify --json", {}],
  ] as const)("is not, in %i columns, by %j under %j", async (columns, args, env) => {
    const { code, seen } = await onTerminal(columns, args, env);
    expect([code, redrawing.test(seen)]).toEqual([0, false]);
    expect(seen.length).toBeLessThan(1_000);
  });

  test("ends when its terminal loses its width, and the command goes on", async () => {
    const locker = new pg.Client(databaseUrl);
    locker.on("error", () => {});
    afterFile(() => locker.end());
    await locker.connect();
    await locker.query("BEGIN; LOCK TABLE users");
    const terminal = openTerminal(
      // The first line that is typed takes the width away.
      `exec 3<&0; (read line; stty -F /dev/tty cols 0) <&3 & stty cols 80 rows 24; ${run("verify")}`,
      { DATABASE_URL: databaseUrl },
    );
    // Its text, and then it spins: the cursor is hidden.
    const spinning = await terminal.shows("\u001b[?25l", await terminal.shows("Verifying"));
    terminal.type("\n");
    // A spinner that ends shows the cursor again.
    await terminal.shows("\u001b[?25h", spinning);
    await locker.query("COMMIT");
    expect(await terminal.exitCode).toBe(0);
    expect(terminal.seen().length).toBeLessThan(100_000);
  });
});
