/**
 * One PostgreSQL of the harness's own, whose postmaster is a child of it: it can be killed, stopped and
 * started again, and have a standby that takes its place. Its programs are those of the embedded
 * PostgreSQL, or of TORTURE_POSTGRES, a folder with initdb and postgres of another version.
 */
import { chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Binaries, findBinaries } from "../../../src/database/embedded/binaries.ts";
import { preparePlace } from "../../../src/database/embedded/place.ts";
import { type OsUser, runAs } from "../../../src/database/embedded/run-as.ts";
import { freePort } from "../../support/database/listening.ts";
import { query, until } from "./connection.ts";
import { copyAsStandby, standbyName } from "./copy-as-standby.ts";
import { createPostmaster, type Postmaster } from "./postmaster.ts";
import { signal } from "./process-table.ts";

export interface Cluster {
  /** Another one after a failover. */
  readonly port: number;
  readonly version: string;
  /** Whom the files belong to; absent: ourselves. */
  readonly user: OsUser | undefined;
  /** A folder that the server may write to. */
  readonly folder: string;
  /** A superuser's, in the database of that name. */
  adminUrl(database?: string): string;
  /** The application's, which is no superuser. */
  appUrl(database: string, port?: number): string;
  admin(sql: string): Promise<Record<string, unknown>[]>;
  /** With variables of the environment in addition to its own. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  /** SIGTERM waits for clients, SIGINT does not, SIGQUIT leaves recovery to the next start. */
  stop(how: "SIGINT" | "SIGQUIT"): Promise<void>;
  /** All processes that there are, the postmaster first. */
  processes(): Promise<number[]>;
  signal(pids: readonly number[], name: NodeJS.Signals): void;
  /** Resolves when the postmaster has ended. */
  ended(): Promise<void>;
  /** Resolves when it takes connections; it has not been ended. */
  answers(): Promise<void>;
  /** Makes a standby that each commit from then on waits for. */
  addStandby(): Promise<void>;
  dropStandby(): Promise<void>;
  /** Kills all of the primary's processes; the standby is the primary from then on. */
  failOver(): Promise<void>;
}

/** The application's role: connections of superusers have slots and rights that it has not. */
export const appRole = "app";

export async function createCluster(
  folder: string,
  binFolder: string | undefined,
  say: (line: string) => void,
): Promise<Cluster> {
  const place = await preparePlace(join(folder, "postgres"));
  const { user } = place;
  const binaries = binFolder ? binariesIn(binFolder) : await findBinaries(place, say);
  const data = join(place.folder, "data");
  const work = join(place.folder, "work");
  for (const path of [data, work]) {
    await mkdir(path, { mode: 0o700 });
    if (user) await chown(path, user.uid, user.gid);
  }
  const args = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"];
  const made = await runAs(user, binaries.initdb, args, place.folder);
  if (made.code !== 0) throw new Error(`initdb failed: ${made.output}`);
  const { output } = await runAs(user, binaries.postgres, ["--version"], place.folder);
  const postmasterOf = async (path: string) =>
    createPostmaster({
      ...{ program: binaries.postgres, data: path, port: await freePort(), user },
      log: join(folder, "postgres.log"),
    });
  let primary: Postmaster = await postmasterOf(data);
  let standby: Postmaster | undefined;
  let copies = 0;

  const adminUrl = (database = "postgres") => urlOf("postgres", primary.port, database);
  const admin = (sql: string) => query(adminUrl(), sql);
  const forgetStandby = async () => {
    await admin("ALTER SYSTEM RESET synchronous_standby_names");
    await admin("SELECT pg_reload_conf()");
  };

  return {
    get port() {
      return primary.port;
    },
    version: output.trim(),
    user,
    folder: work,
    adminUrl,
    appUrl: (database, at) => urlOf(appRole, at ?? primary.port, database),
    admin,
    start: (env) => primary.start(env),
    stop: (how) => primary.stop(how),
    processes: () => primary.processes(),
    signal,
    ended: () => primary.ended(),
    answers: () => primary.answers(),
    addStandby: async () => {
      copies += 1;
      standby = await postmasterOf(join(place.folder, `standby-${copies}`));
      await copyAsStandby(adminUrl(), primary, standby);
      await standby.start();
      await admin(`ALTER SYSTEM SET synchronous_standby_names = '${standbyName}'`);
      await admin("SELECT pg_reload_conf()");
      const isSynchronous = async () =>
        (await admin("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'")).length === 1;
      if (!(await until(isSynchronous, 60_000))) throw new Error("the standby does not follow");
    },
    dropStandby: async () => {
      if (!standby) return;
      await forgetStandby();
      await standby.stop("SIGQUIT");
      await rm(standby.data, { recursive: true });
      standby = undefined;
    },
    failOver: async () => {
      if (!standby) throw new Error("there is no standby");
      signal(await primary.processes(), "SIGKILL");
      await primary.ended();
      await rm(primary.data, { recursive: true });
      primary = standby;
      standby = undefined;
      await admin("SELECT pg_promote()");
      await forgetStandby();
    },
  };
}

function urlOf(role: string, port: number, database: string): string {
  return `postgres://${role}@127.0.0.1:${port}/${database}`;
}

function binariesIn(folder: string): Binaries {
  const [initdb = "", postgres = "", pgCtl = ""] = ["initdb", "postgres", "pg_ctl"].map((name) =>
    join(folder, name),
  );
  return { initdb, postgres, pgCtl };
}
