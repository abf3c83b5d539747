/**
 * The folders that PostgreSQL needs, and the operating system user that it runs as. PostgreSQL refuses to
 * run as root, so root runs it as the owner of an existing cluster or as `nobody`, the one
 * unprivileged user that every Unix has. Anybody else runs it as themselves.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BalancectlError } from "../../errors.ts";
import { folderMode, requireRootsWay } from "./modes.ts";
import { type OsUser, runAs } from "./run-as.ts";

/** The folder's name carries the version of the cluster's format: another major cannot read it. */
export const majorVersion = "18";

/** Where everything lives. */
export interface Place {
  /** `<dataDir>/postgres-18`, the one folder below the data directory that is ours. A real path. */
  readonly folder: string;
  /** The cluster, PostgreSQL's own data directory. */
  readonly data: string;
  /** `<data>:*:*:balancectl:<password>`; inside the cluster, so that neither exists alone. */
  readonly passfile: string;
  readonly log: string;
  /** Absent: ourselves. */
  readonly user: OsUser | undefined;
}

/** Makes the folders if need be. @throws BalancectlError EMBEDDED_UNAVAILABLE if they are another user's. */
export async function preparePlace(dataDir: string): Promise<Place> {
  const asRoot = process.getuid?.() === 0;
  const asGiven = resolve(dataDir);
  requirePlainName(asGiven);
  // Before anything is made; and again by its real name, should it be a link.
  if (asRoot) await requireRootsWay(join(asGiven, `postgres-${majorVersion}`));
  await makeDataDir(asGiven, asRoot);
  const folder = join(await realpath(dataDir), `postgres-${majorVersion}`);
  requirePlainName(folder);
  if (asRoot) await requireRootsWay(folder);
  await refuseOtherMajors(folder);
  // As root the folder stays root's and only the cluster is given away: whoever else runs as
  // `nobody` can then not put anything in the way of what root does in here.
  const mode = folderMode(asRoot);
  const made = await mkdir(folder, { recursive: true, mode });
  if (made) await chmod(folder, mode);
  const data = join(folder, "data");
  const user = asRoot ? await unprivilegedUser(data) : undefined;
  if (!asRoot) await requireOwn(folder, data);
  const passfile = join(data, "pgpass");
  return { folder, data, passfile, log: join(folder, "server.log"), user };
}

/** @throws BalancectlError EMBEDDED_UNAVAILABLE naming the folder that the user may not enter. */
export async function requireReachable({ user, folder }: Place): Promise<void> {
  if (!user) return;
  const folders = [folder];
  while (folders[0] && dirname(folders[0]) !== folders[0]) folders.unshift(dirname(folders[0]));
  // The kernel is asked, as that user: modes alone would miss ACLs and security modules.
  const script = 'for f; do [ -x "$f" ] || { printf %s "$f"; exit 1; }; done';
  const { code, output } = await runAs(user, "sh", ["-c", script, "sh", ...folders], "/");
  if (code === 0) return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `PostgreSQL does not run as root, and the user it would run as, ${user.name}, may not enter ` +
      `${output}. Set BALANCECTL_DATA_DIR to a folder that ${user.name} can reach, such as ` +
      "/var/lib/balancectl, or set DATABASE_URL to a PostgreSQL of your own",
  );
}

/**
 * A new cluster beside that of another version would be another ledger in the place of the one that
 * was meant.
 * @throws BalancectlError EMBEDDED_UNAVAILABLE
 */
async function refuseOtherMajors(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const names = await readdir(dirname(folder));
  // Ours may have come to be just now.
  const other = names.find((name) => /^postgres-\d+$/.test(name) && name !== basename(folder));
  if (other === undefined) return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `${dirname(folder)} holds the database of another version, ${other}, and this program runs PostgreSQL ` +
      `${majorVersion}. Bring it over with pg_dump, run the balancectl that made it, or set ` +
      "BALANCECTL_DATA_DIR to another folder for a new ledger",
  );
}

/** PostgreSQL's files have lines, in which the name of the folder stands. */
function requirePlainName(path: string): void {
  if (!/[\r\n]/.test(path)) return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The name of the folder ${JSON.stringify(path)} has a line break, which PostgreSQL's files cannot have. Set ` +
      "BALANCECTL_DATA_DIR to another folder",
  );
}

/** A folder that exists is left as it is. Those we make are private, but passable for root's helper. */
async function makeDataDir(path: string, asRoot: boolean): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (!first || !asRoot) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await chmod(made, 0o711);
}

async function requireOwn(folder: string, data: string): Promise<void> {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  const isOwn = async (path: string) => ((await ownerOf(path))?.uid ?? uid) === uid;
  if ((await isOwn(folder)) && (await isOwn(data))) return;
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `The embedded PostgreSQL in ${folder} belongs to another user. Run as that user, set ` +
      "BALANCECTL_DATA_DIR to a folder of your own, or set DATABASE_URL",
  );
}

/** The owner of the cluster; before there is one, `nobody`. */
async function unprivilegedUser(data: string): Promise<OsUser> {
  const cluster = await ownerOf(data);
  if (cluster?.uid === 0) {
    throw new BalancectlError(
      "EMBEDDED_UNAVAILABLE",
      `${data} belongs to root, and PostgreSQL does not run as root. Give it to an unprivileged ` +
        `user, for example: chown -R nobody ${data}`,
    );
  }
  if (cluster) return cluster;
  const ids = await Promise.all(
    ["-u", "-g"].map((flag) => runAs(undefined, "id", [flag, "nobody"], "/")),
  );
  const [uid, gid] = ids.map(({ code, output }) => (code === 0 ? Number(output) >>> 0 : 0));
  if (uid && gid) return { uid, gid, name: "nobody" };
  throw new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    "PostgreSQL does not run as root, and there is no user nobody to run it as. Run balancectl " +
      "as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own",
  );
}

async function ownerOf(path: string): Promise<OsUser | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid, name: `the user with id ${uid}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
