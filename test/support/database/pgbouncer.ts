/** PgBouncer before the database, where it is installed (Debian: `apt-get install pgbouncer`). */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterFile } from "../cleanup.ts";
import { answers, freePort } from "./listening.ts";

const program = ["/usr/sbin/pgbouncer", "pgbouncer"].find(
  (one) => spawnSync(one, ["--version"]).status === 0,
);

/** A reason to skip what needs it; undefined where it is installed. */
export const noPgBouncer = program === undefined ? "pgbouncer is not installed" : undefined;

/**
 * With the settings that Debian's has, so that what it refuses by default is refused here. Ended after the file.
 * @returns the database's URL by way of it
 */
export async function startPgBouncer(
  databaseUrl: string,
  poolMode: "session" | "transaction",
): Promise<string> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const folder = await mkdtemp(join(tmpdir(), "balancectl-pgbouncer-"));
  afterFile(() => rm(folder, { recursive: true, force: true }));
  const own = await freePort();
  const [ini, users] = [join(folder, "pgbouncer.ini"), join(folder, "users.txt")];
  await writeFile(users, `"${username}" "${decodeURIComponent(password)}"\n`);
  await writeFile(
    ini,
    `[databases]
* = host=${hostname} port=${port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = 20
max_client_conn = 200
`,
  );
  // It does not run as root.
  const ids = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  if (ids.uid !== undefined) {
    for (const path of [folder, ini, users]) await chown(path, ids.uid, ids.gid);
  }
  await chmod(folder, 0o700);
  const child = spawn(program as string, [ini], { ...ids, cwd: "/", stdio: "ignore" });
  const ended = once(child, "exit");
  afterFile(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(own);
  while (child.exitCode === null && !(await answers(url.href)));
  if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}`);
  return url.href;
}
