#!/usr/bin/env node
/** The process: argv, environment and signals in, exit code out. Nothing below touches them. */
import { constants } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readEnvFile } from "../src/cli/env-file.ts";
import { StopSignal } from "../src/cli/exit-codes.ts";
import { run } from "../src/cli/program.ts";
import type { SettingsFile } from "../src/cli/settings-file.ts";

const stopping = new AbortController();
let asked = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    const reason = new StopSignal(signal, constants.signals[signal]);
    // The first asks, the second insists.
    if (asked) process.exit(reason.exitCode);
    asked = true;
    stopping.abort(reason);
  });
}
// Started by another process over a channel: when it is gone, nobody is left to say stop.
process.on("disconnect", () => stopping.abort(new Error("the parent process is gone")));
// Somebody's NODE_UNIQUE_ID is in the environment: Node takes this process for the worker of a cluster that is not
// there, and to listen would mean to wait for it for ever.
if (!process.send && process.listenerCount("internalMessage") > 0) {
  const { default: cluster } = await import("node:cluster");
  Object.assign(cluster, { isPrimary: true, isWorker: false });
}
let settingsFile: SettingsFile | undefined;
try {
  const { settings, ignored } = readEnvFile(".env");
  // What the environment has already wins.
  const isNew = (name: string) => process.env[name] === undefined;
  const names = Object.keys(settings).filter(isNew);
  for (const name of names) process.env[name] = settings[name];
  if (names.length > 0) {
    settingsFile = { path: resolve(".env"), names, ignored: ignored.filter(isNew) };
  }
} catch (error) {
  process.stderr.write(`balancectl: .env cannot be read: ${(error as Error).message}\n`);
  process.exit(2);
}

process.exitCode = await run({
  argv: process.argv.slice(2),
  env: process.env,
  settingsFile,
  stdin: () => process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  stopping: stopping.signal,
  parent: process.send && {
    onMessage: (listener) => process.on("message", listener),
    // That it is gone is told by its disconnecting.
    send: (message, onLost) =>
      process.send?.(message, (error: Error | null) => error && onLost?.()),
  },
  nodePath: process.execPath,
  script: fileURLToPath(import.meta.url),
});
// Everything has been said and taken. A channel to a parent would keep the process alive.
process.exit();
