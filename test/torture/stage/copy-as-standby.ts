/** A base backup while the primary works, as pg_basebackup makes it, which not every package has. */
import { execFile } from "node:child_process";
import { appendFile, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "./connection.ts";
import type { Postmaster } from "./postmaster.ts";

/** What the standby calls itself, and the primary waits for. */
export const standbyName = "standby";

export async function copyAsStandby(
  primaryUrl: string,
  primary: Postmaster,
  standby: Postmaster,
): Promise<void> {
  const client = await connect(primaryUrl);
  try {
    await client.query("SELECT pg_backup_start('torture', true)");
    await copy(primary.data, standby.data);
    const { rows } = await client.query("SELECT labelfile FROM pg_backup_stop(false)");
    for (const name of ["postmaster.pid", "postmaster.opts", "pg_wal"]) {
      await rm(join(standby.data, name), { recursive: true, force: true });
    }
    await own(standby, "pg_wal", (path) => mkdir(path, { mode: 0o700 }));
    await own(standby, "backup_label", (path) => writeFile(path, rows[0].labelfile));
    await own(standby, "standby.signal", (path) => writeFile(path, ""));
  } finally {
    await client.end();
  }
  const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${standbyName}`;
  await appendFile(
    join(standby.data, "postgresql.auto.conf"),
    `primary_conninfo = '${conninfo}'\nsynchronous_standby_names = ''\n`,
  );
}

/** Files that go away meanwhile are none of the backup's: the log tells what was done to them. */
async function copy(from: string, to: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    execFile(
      "cp",
      ["-a", from, to],
      { env: { ...process.env, LC_ALL: "C" } },
      (error, _out, stderr) => {
        const strange = stderr.split("\n").filter((line) => line && !/No such file/.test(line));
        if (error && strange.length > 0) reject(new Error(strange.join("\n")));
        else resolve();
      },
    );
  });
}

async function own(
  { data, user }: Postmaster,
  name: string,
  make: (path: string) => Promise<unknown>,
): Promise<void> {
  const path = join(data, name);
  await make(path);
  if (user) await chown(path, user.uid, user.gid);
}
