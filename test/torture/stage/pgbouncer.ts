/** A PgBouncer before the database, if one is installed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { childOptions } from "../../../src/database/embedded/run-as.ts";
import { answers, freePort } from "../../support/database/listening.ts";
import { appRole, type Cluster } from "./cluster.ts";
import { until } from "./connection.ts";

export interface PgBouncer {
  readonly port: number;
  start(): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

export function findPgBouncer(): string | undefined {
  return ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"].find((path) =>
    existsSync(path),
  );
}

/** As docs/operating.md has it. */
export async function createPgBouncer(
  cluster: Cluster,
  mode: "session" | "transaction",
): Promise<PgBouncer> {
  const port = await freePort();
  const path = join(cluster.folder, `pgbouncer-${mode}.ini`);
  const text = `
[databases]
* = host=127.0.0.1 port=${cluster.port} user=${appRole}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = 40
`;
  await writeFile(path, text);
  if (cluster.user) await chown(path, cluster.user.uid, cluster.user.gid);
  let child: ChildProcess | undefined;
  const program = findPgBouncer() ?? "";
  return {
    port,
    start: async () => {
      const options = childOptions(cluster.user, cluster.folder);
      child = spawn(program, ["-q", path], { ...options, stdio: "ignore" });
      const url = `postgres://${appRole}@127.0.0.1:${port}/postgres`;
      if (!(await until(() => answers(url), 20_000))) throw new Error("PgBouncer does not start");
    },
    end: async (signal) => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    },
  };
}
