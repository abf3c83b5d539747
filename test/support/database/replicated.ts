/** A primary and a standby on loopback, from the programs of the embedded PostgreSQL. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFile,
  chmod,
  chown,
  cp,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinaries } from "../../../src/database/embedded/binaries.ts";
import { openEmbeddedPostgres } from "../../../src/database/embedded/open.ts";
import { type Place, preparePlace } from "../../../src/database/embedded/place.ts";
import { childOptions } from "../../../src/database/embedded/run-as.ts";
import { migrateUp } from "../../../src/database/migrator.ts";
import { afterFile } from "../cleanup.ts";
import { psql } from "./database.ts";
import { answers, freePort } from "./listening.ts";

export interface Member {
  readonly port: number;
  /** Of this server alone. */
  readonly url: string;
  /** Ends all of its processes at once, as a power cut ends them. */
  kill(): Promise<void>;
  /** Fast shutdown. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface Replicated {
  readonly primary: Member;
  readonly standby: Member;
  /** Of both, the standby first. */
  readonly url: string;
  /** Resolves when the standby takes changes. */
  promote(): Promise<void>;
}

/**
 * Migrated, and stopped after the file. The standby is a copy of the primary's files from before either was
 * started: what pg_basebackup would fetch, and the embedded PostgreSQL has none.
 */
export async function startReplicated({ synchronous = false } = {}): Promise<Replicated> {
  const folder = await mkdtemp(join(tmpdir(), "balancectl-replicated-"));
  await chmod(folder, 0o755);
  afterFile(() => rm(folder, { recursive: true, force: true }));
  const embedded = await openEmbeddedPostgres({ dataDir: join(folder, "first") });
  await migrateUp(embedded.url);
  await embedded.close();
  const place = await preparePlace(join(folder, "first"));
  const copy = {
    ...place,
    data: join(place.folder, "second"),
    log: join(place.folder, "second.log"),
  };
  await cp(place.data, copy.data, { recursive: true, preserveTimestamps: true });
  if (place.user) await giveAway(copy.data, place.user.uid, place.user.gid);
  await chmod(copy.data, 0o700);
  const { username, password, pathname } = new URL(embedded.url);
  const [first, second] = [await freePort(), await freePort()];
  const at = (...ports: number[]) => {
    const hosts = ports.map((port) => `127.0.0.1:${port}`).join(",");
    return `postgres://${username}:${password}@${hosts}${pathname}`;
  };
  await writeFile(join(copy.data, "standby.signal"), "");
  const upstream = `host=127.0.0.1 port=${first} user=${username} password=${password} application_name=second`;
  // In a file, where ALTER SYSTEM can change it.
  await appendFile(join(copy.data, "postgresql.auto.conf"), `primary_conninfo = '${upstream}'\n`);
  const primary = member(place, first, at(first));
  const standby = member(copy, second, at(second));
  await primary.start();
  await standby.start();
  const streaming = "SELECT FROM pg_stat_replication WHERE state = 'streaming'";
  while ((await psql(primary.url, streaming)).length === 0);
  if (synchronous) {
    await psql(primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'second'");
    await psql(primary.url, "SELECT pg_reload_conf()");
    const sync = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
    while ((await psql(primary.url, sync)).length === 0);
  }
  return {
    ...{ primary, standby, url: at(second, first) },
    promote: async () => {
      await psql(standby.url, "SELECT pg_promote(true, 60)");
    },
  };
}

function member(place: Place, port: number, url: string): Member {
  const all = {
    ...{ port: String(port), listen_addresses: "127.0.0.1", unix_socket_directories: "" },
    ...{ wal_keep_size: "256MB", max_connections: "200", wal_level: "replica" },
  };
  let exited: Promise<unknown> = Promise.resolve();
  let pid: number | undefined;
  const start = async () => {
    const { postgres } = await findBinaries(place, () => {});
    const log = await open(place.log, "a");
    const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(postgres, ["-D", place.data, ...args], {
      ...childOptions(place.user, place.data),
      stdio: ["ignore", log.fd, log.fd],
    });
    exited = once(child, "exit").then(() => {
      pid = undefined;
    });
    await once(child, "spawn");
    pid = child.pid;
    await log.close();
    while (pid !== undefined && !(await answers(url)));
    if (pid === undefined)
      throw new Error(`PostgreSQL did not start: ${await readFile(place.log, "utf8")}`);
  };
  const stop = async () => {
    if (pid !== undefined) process.kill(pid, "SIGINT");
    await exited;
  };
  afterFile(stop);
  return {
    ...{ port, url, start, stop },
    kill: async () => {
      const rows = await psql<{ pid: number }>(
        url,
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
      );
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      for (const one of rows) endAtOnce(one.pid);
      await exited;
      await rm(join(place.data, "postmaster.pid"), { force: true });
    },
  };
}

function endAtOnce(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function giveAway(folder: string, uid: number, gid: number): Promise<void> {
  await chown(folder, uid, gid);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    await chown(join(entry.parentPath, entry.name), uid, gid);
  }
}
