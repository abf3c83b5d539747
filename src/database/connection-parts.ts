/** What each connection to a database is made with, whoever opens it. */
import { readFileSync } from "node:fs";
import type pg from "pg";
import { type DatabaseUrl, type Place, parseDatabaseUrl, type Target } from "../database-url.ts";
import { BalancectlError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { QuietClientConfig } from "./quiet-client.ts";
import { pinned, type Settings, settingsOf } from "./session.ts";

export interface ConnectionParts extends QuietClientConfig {
  readonly ssl: false | NonNullable<Exclude<pg.ClientConfig["ssl"], boolean>>;
  readonly connectionTimeoutMillis: number;
}

/** The hosts of DATABASE_URL, and which of them will do. */
export function placesOf(url: string): { places: readonly Place[]; target: Target } {
  const { places, target } = parsed(url);
  return { places, target };
}

/**
 * Of the text of DATABASE_URL, whichever its host. pg looks up a password that is not given, in PGPASSFILE.
 * @throws BalancectlError CONFIG_INVALID also when a file that it names cannot be read
 */
export function connectionParts(url: string): ConnectionParts {
  const parts = parsed(url);
  const { user, password, database, options, applicationName } = parts;
  const isSettings = options !== undefined && settingsOf(options) !== undefined;
  return {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ssl: sslOf(parts),
    auth: parts.auth,
    ...(options !== undefined && !isSettings && { options }),
    application_name: applicationName ?? "balancectl",
    connectionTimeoutMillis: (parts.connectTimeoutSeconds ?? 5) * 1_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

/** What every session is set to: what the URL's options say, and the last word is ours. */
export function settingsNeeded(url: string): Settings {
  return { ...settingsOf(parsed(url).options ?? ""), ...pinned };
}

/** Host and name of the database, for people: not who connects, and how. */
export function databaseLabel(url: string): string {
  const { places, user, database } = parsed(url);
  return printable(
    `PostgreSQL ${database ?? user ?? ""} at ${places.map(placeLabel).join(" or ")}`,
  );
}

export function placeLabel({ host, port }: Place): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The name of the database, which is the user's where none is given. */
export function databaseNameOf(url: string): string | undefined {
  const { database, user } = parsed(url);
  return database ?? user;
}

function parsed(url: string): DatabaseUrl {
  try {
    return parseDatabaseUrl(url);
  } catch (error) {
    throw new BalancectlError("CONFIG_INVALID", `DATABASE_URL ${(error as Error).message}`);
  }
}

function sslOf({ tls, sslrootcert, sslcert, sslkey }: DatabaseUrl): ConnectionParts["ssl"] {
  if (tls === "disable") return false;
  return {
    rejectUnauthorized: tls !== "require",
    ...(tls === "verify-ca" && { checkServerIdentity: () => undefined }),
    ...(sslrootcert && { ca: contentsOf("sslrootcert", sslrootcert) }),
    ...(sslcert && { cert: contentsOf("sslcert", sslcert) }),
    ...(sslkey && { key: contentsOf("sslkey", sslkey) }),
  };
}

function contentsOf(parameter: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const why = (error as Error).message;
    throw new BalancectlError(
      "CONFIG_INVALID",
      `DATABASE_URL: ${parameter} cannot be read: ${why}`,
    );
  }
}
