/** The settings of PostgreSQL that decide whether what was answered stays, and how many may come. */
import { grouped } from "../output.ts";
import { type Check, fail, ok, warn } from "./check.ts";

export interface ServerSettings {
  readonly version: string;
  /** As 150004. */
  readonly versionNumber: number;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly synchronousCommit: string;
  readonly connectionsMax: number;
  /** Kept for superusers, and of others there now. */
  readonly connectionsTaken: number;
  /** The database's clock before ours, in milliseconds. */
  readonly clockAheadMs: number;
  /** What of that may be the way of the question. */
  readonly clockDoubtMs: number;
}

export const serverSettingsSql = `
  SELECT current_setting('server_version') AS version,
         current_setting('server_version_num')::int AS "versionNumber",
         current_setting('fsync') AS fsync,
         current_setting('full_page_writes') AS "fullPageWrites",
         current_setting('synchronous_commit') AS "synchronousCommit",
         current_setting('max_connections')::int AS "connectionsMax",
         current_setting('superuser_reserved_connections')::int
           + (SELECT count(*)::int FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                 AND application_name NOT LIKE 'balancectl%') AS "connectionsTaken",
         (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "clockMs"`;

/** @param connectionsNeeded by one process that serves */
export function judgeServer(settings: ServerSettings, connectionsNeeded: number): Check[] {
  const { version, versionNumber, fsync, fullPageWrites, synchronousCommit } = settings;
  const setOn = (name: string) =>
    `ALTER SYSTEM SET ${name} = on; SELECT pg_reload_conf(). Then find out who set it off, and why`;
  return [
    versionNumber >= 150_000
      ? ok("version", `PostgreSQL ${version}`)
      : fail("version", `PostgreSQL ${version}`, "balancectl needs PostgreSQL 15 or newer"),
    fsync === "on"
      ? ok("fsync", fsync)
      : fail("fsync", fsync, `A power failure may ruin the whole database. ${setOn("fsync")}`),
    fullPageWrites === "on"
      ? ok("full_page_writes", fullPageWrites)
      : fail(
          "full_page_writes",
          fullPageWrites,
          `A power failure may leave half-written pages. ${setOn("full_page_writes")}`,
        ),
    synchronousCommit === "off"
      ? fail(
          "synchronous_commit",
          synchronousCommit,
          "Changes are answered before they are on the disk, and a crash loses them. It may be set for the " +
            "database or the role (\\drds in psql): ALTER DATABASE ... RESET synchronous_commit; else " +
            setOn("synchronous_commit"),
        )
      : ok("synchronous_commit", synchronousCommit),
    judgeConnections(settings, connectionsNeeded),
    judgeClock(settings),
  ];
}

function judgeConnections(
  { connectionsMax, connectionsTaken }: ServerSettings,
  needed: number,
): Check {
  const left = connectionsMax - connectionsTaken;
  const found =
    `max_connections ${grouped(connectionsMax)}, ${grouped(connectionsTaken)} of them others', ` +
    `and a server may take ${grouped(needed)}`;
  if (needed <= left) return ok("connections", found);
  return warn(
    "connections",
    found,
    "Raise max_connections, or lower BALANCECTL_LANES and BALANCECTL_READ_CONNECTIONS_MAX; with --workers each " +
      "process takes as many",
  );
}

function judgeClock({ clockAheadMs, clockDoubtMs }: ServerSettings): Check {
  const apart = Math.round(Math.abs(clockAheadMs));
  const found = `the database's is ${apart} ms ${clockAheadMs < 0 ? "behind" : "ahead of"} ours`;
  if (apart - clockDoubtMs <= 1_000) return ok("clock", found);
  return warn(
    "clock",
    found,
    "Let both machines follow a time server (chronyc tracking; timedatectl): entries and holds go by the database's clock, " +
      "and logs and tokens by ours",
  );
}
