/**
 * The cluster: the files of one PostgreSQL server. It is made aside and renamed into place, password
 * and all, so that it is either complete or absent, and of two that make it at once one wins.
 */
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { BalancectlError } from "../../errors.ts";
import type { Binaries } from "./binaries.ts";
import { majorVersion, type Place } from "./place.ts";
import { type OsUser, runAs } from "./run-as.ts";

/** The database, and its one role. */
export const databaseName = "balancectl";

/** A folder of work this old is nobody's: creating takes seconds. */
const abandonedMs = 60 * 60 * 1000;

/** @throws BalancectlError EMBEDDED_UNAVAILABLE if it was made by another version of PostgreSQL. */
export async function clusterExists({ data }: Place): Promise<boolean> {
  const version = await readFile(join(data, "PG_VERSION"), "utf8").catch(absentIfMissing);
  if (version === undefined) return false;
  if (version.trim() === majorVersion) return true;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `${data} was made by PostgreSQL ${version.trim()}, and this program runs ${majorVersion}. Set ` +
      "BALANCECTL_DATA_DIR to another folder, or set DATABASE_URL",
  );
}

/** Runs initdb (0.6 to 0.8 s). Returns as well if somebody else was quicker. */
export async function createCluster(place: Place, binaries: Binaries): Promise<void> {
  const { folder, data, user } = place;
  const work = await mkdtemp(join(folder, "new-"));
  try {
    const made = join(work, "data");
    const password = randomBytes(24).toString("base64url");
    await writePrivate(join(work, "password"), password, user);
    await mkdir(made);
    await chmod(made, 0o700);
    if (user) await chown(made, user.uid, user.gid);
    await chmod(work, user ? 0o711 : 0o700);
    await runInitdb(place, binaries, made, join(work, "password"));
    await writePrivate(join(made, "pgpass"), passLine(place, password), user);
    // initdb flushed its own files. Ours and the new name must survive a power cut as well.
    await syncFolder(made);
    await rename(made, data);
    await syncFolder(folder);
    await syncFolder(dirname(folder));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    await requireCluster(place);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Removes what processes that were killed while they created or copied have left. */
export async function removeAbandoned({ folder }: Place): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^(install-)?new-/.test(name)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(absentIfMissing);
    if (found && Date.now() - found.mtimeMs > abandonedMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/**
 * For psql, which takes the password for the host that the line names: the folder of the socket, which may have been
 * moved, and was an address in earlier versions.
 */
export async function renewPassfile(place: Place): Promise<void> {
  const { passfile, user } = place;
  const password = await readPassword(place);
  if (password === undefined) return;
  const line = passLine(place, password);
  if ((await readFile(passfile, "utf8")) === line) return;
  const made = `${passfile}.new`;
  await rm(made, { force: true });
  await writePrivate(made, line, user);
  await rename(made, passfile);
}

/** @see https://www.postgresql.org/docs/current/libpq-pgpass.html */
function passLine({ data }: Place, password: string): string {
  return `${data.replace(/[:\\]/g, "\\$&")}:*:*:${databaseName}:${password}\n`;
}

/** Absent without a cluster. */
export async function readPassword({ passfile }: Place): Promise<string | undefined> {
  const line = await readFile(passfile, "utf8").catch(absentIfMissing);
  return line?.trim().split(":").at(-1);
}

/** Turns the error of a missing file into undefined. */
export function absentIfMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

async function runInitdb(place: Place, binaries: Binaries, data: string, passwordFile: string) {
  const args = ["-D", data, "-U", databaseName, "-A", "scram-sha-256", "--pwfile", passwordFile];
  args.push("-E", "UTF8", "--locale=C", "-c", "timezone=UTC", "-c", "log_timezone=UTC");
  const { code, output } = await runAs(place.user, binaries.initdb, args, place.folder);
  if (code === 0) return;
  if (/could not look up effective user ID/.test(output)) throw namelessUser();
  const end = output.trimEnd().split("\n").slice(-10).join("\n");
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The embedded PostgreSQL could not be created in ${place.folder}:\n${end}`,
  );
}

/** As in a container that is run with --user and a number. initdb speaks English here: its locale is ours. */
function namelessUser(): BalancectlError {
  const id = process.getuid?.();
  return new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The embedded PostgreSQL cannot be created by a user without a name, and the user with id ${id} has none in ` +
      "/etc/passwd: add a line for it there, run balancectl as a user who has one, or set DATABASE_URL",
  );
}

/** The name was taken: by a cluster, or by files that are in nobody's interest to overwrite. */
async function requireCluster(place: Place): Promise<void> {
  if (await clusterExists(place)) return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `${place.data} holds files but no complete database. Restore it, or move it out of the way`,
  );
}

async function writePrivate(path: string, text: string, user: OsUser | undefined): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    // Whatever the umask takes away.
    await file.chmod(0o600);
    await file.writeFile(text);
    if (user) await file.chown(user.uid, user.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder, and keeps names durable by itself.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems do not know how; PostgreSQL overlooks the same two.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EINVAL" && code !== "EBADF") throw error;
  } finally {
    await folder.close();
  }
}
