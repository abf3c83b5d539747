/** Five minutes of torture: the faults that a server meets, each with what it may do to an answer. */
import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/package-root.ts";

/** A line each: of the network, the servers, PostgreSQL, and what is set, full or locked there. */
const faults = [
  ...["none", "cut-all-kinds", "cut-any", "no-route", "delay", "half-open", "hold-sync"],
  ...["server-kill", "server-term", "worker-kill", "log-stalled"],
  ...["backend-terminate", "backend-cancel", "backend-kill", "pg-kill", "pg-restart", "pg-stop"],
  ...["read-only", "max-connections", "disk-full", "stranger-lock", "stranger-deadlock"],
];

test("nothing is lost, nothing doubled, and no answer lies", async () => {
  const args = [
    "run",
    "-s",
    "torture",
    "--",
    "--minutes",
    "5",
    "--seconds",
    "6",
    "--fault",
    faults.join(","),
  ];
  const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    const child = execFile("npm", args, { cwd: packageRoot }, (error, output) => {
      resolve({ code: error?.code ?? 0, stdout: output });
    });
    // Its seed, and what was wrong.
    child.stderr?.pipe(process.stderr);
  });
  process.stdout.write(stdout);
  expect(code).toBe(0);
});
