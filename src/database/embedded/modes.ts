/** Who may enter the folders that the cluster lies in, and change what is in them. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { BalancectlError } from "../../errors.ts";

/** Nobody but root may pass through the folder that root keeps the cluster in, to PostgreSQL's user. */
export function folderMode(asRoot: boolean): number {
  return asRoot ? 0o711 : 0o700;
}

/**
 * Root works by path, and runs PostgreSQL as another user: whoever may rename a folder on the way, or owns it, could
 * have root work elsewhere between two steps, or become who has the password and the data.
 * @param path what is not there yet is passed over
 * @throws BalancectlError EMBEDDED_UNAVAILABLE that names the folder
 */
export async function requireRootsWay(path: string): Promise<void> {
  for (let folder = path; ; folder = dirname(folder)) {
    const why = await whyNotRoots(folder);
    if (why !== undefined) throw notRoots(folder, why);
    if (folder === dirname(folder)) return;
  }
}

async function whyNotRoots(folder: string): Promise<string | undefined> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (!found) return undefined;
  const { uid, gid, mode } = found;
  if (uid !== 0) return `belongs to the user with id ${uid}`;
  // With the sticky bit, as /tmp has it, nobody can rename what is root's.
  if (mode & 0o1000) return undefined;
  const byOthers = mode & 0o002 || (mode & 0o020 && gid !== 0);
  return byOthers ? "may be changed by others than root" : undefined;
}

function notRoots(folder: string, why: string): BalancectlError {
  return new BalancectlError(
    "EMBEDDED_UNAVAILABLE",
    `${folder} ${why}. Run by root, balancectl keeps its database only where each folder on the way is root's, so ` +
      "that nobody else can exchange one. Run it as that folder's user, set BALANCECTL_DATA_DIR to a folder of " +
      "root's, such as /var/lib/balancectl, or set DATABASE_URL",
  );
}
