/**
 * The embedded PostgreSQL: what balancectl runs on when it is given no database. Any number of
 * commands share one server; the first starts it, the last stops it, and a server that was left
 * behind by a killed process is used, and stopped, by the next.
 */
import { isAbsolute } from "node:path";
import type { BalancectlError } from "../../errors.ts";
import { keepTouching } from "./claim.ts";
import { databaseName } from "./cluster.ts";
import { keepRunning } from "./keep-running.ts";
import { type ReachOptions, reachServer, stop } from "./reach-server.ts";
import type { Listen } from "./server.ts";
import { createShortPaths } from "./short-path.ts";

export interface EmbeddedOptions extends ReachOptions {
  /** Gives up: what was started is stopped, and the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /**
   * For whoever goes on using it: a server that is lost is started again, and this gets what is to be known of that.
   * Without it, one that is lost stays lost.
   */
  readonly onLost?: ((message: string) => void) | undefined;
}

export interface EmbeddedPostgres {
  /** postgres://balancectl:<password>@<folder of its socket, percent-encoded>:5432/balancectl */
  readonly url: string;
  /** 127.0.0.1:<port>, of a server that has no socket. */
  readonly address: string | undefined;
  /** As it was given. */
  readonly dataDir: string;
  /** False if the server was running: another command started it. */
  readonly startedHere: boolean;
  /** Releases our use of the server; the last user stops it (fast shutdown). Idempotent. */
  readonly close: () => Promise<void>;
  /** Resolves when it was lost and did not start again; not without `onLost`. */
  readonly gone: Promise<BalancectlError>;
}

/**
 * Opens the database in `<dataDir>/postgres-18`, creating and starting it if need be. People get at
 * it with `PGPASSFILE=<dataDir>/postgres-18/data/pgpass psql -h <dataDir>/postgres-18/data -U balancectl`.
 * @throws BalancectlError EMBEDDED_UNAVAILABLE with what to do
 */
export async function openEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { dataDir, onLost, signal } = options;
  const paths = createShortPaths();
  try {
    const { place, lease, startedHere } = await reachServer(options, paths, signal);
    const { host, port, password } = lease;
    const running = keepRunning(
      lease,
      onLost && {
        onLost,
        reach: async (leaving) => {
          // One on loopback comes back to its port.
          const listen: Listen = isAbsolute(host) ? "socket" : { tcpPort: port };
          return (await reachServer({ dataDir, listen, mustExist: true }, paths, leaving)).lease;
        },
      },
    );
    const stopTouching = keepTouching(place);
    let closing: Promise<void> | undefined;
    return {
      url: `postgres://${databaseName}:${encodeURIComponent(password)}@${encodeURIComponent(host)}:${port}/${databaseName}`,
      address: isAbsolute(host) ? undefined : `${host}:${port}`,
      dataDir,
      startedHere,
      gone: running.gone,
      close: () => {
        closing ??= running
          .leave(({ postmasterPid }) => stop(place, postmasterPid))
          .finally(stopTouching)
          .finally(paths.release);
        return closing;
      },
    };
  } catch (error) {
    paths.release();
    throw error;
  }
}
