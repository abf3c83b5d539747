/** What other processes of balancectl are started with: what they need, and nothing that happens to be there. */
import { isSettingName } from "./setting-names.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where things are and how they are written; on Windows nothing starts without the last two lines. */
const surroundings = [
  ...["PATH", "HOME", "LANG", "TZ", "TMPDIR", "XDG_DATA_HOME", "NO_COLOR"],
  // How node itself is to run, and whom it trusts: from the environment, as a .env may not say them.
  ...["NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["SystemRoot", "SYSTEMROOT", "windir", "TEMP", "TMP", "ComSpec", "PATHEXT", "Path"],
  ...["USERPROFILE", "APPDATA", "LOCALAPPDATA"],
];

/** PG...: what completes a DATABASE_URL, and PGPASSFILE, which pg itself looks for. */
function isPassed(name: string): boolean {
  return surroundings.includes(name) || name.startsWith("LC_") || name.startsWith("PG");
}

/** For another balancectl that reads settings of its own. */
export function childEnvironment(env: Environment): Environment {
  return only(env, (name) => isPassed(name) || isSettingName(name));
}

/**
 * For a worker, which gets its orders over a channel. node:cluster adds to it the environment of this process,
 * so that what is left out has to be there without a value.
 */
export function workerEnvironment(env: Environment): Environment {
  const nothing = Object.fromEntries(Object.keys(env).map((name) => [name, undefined]));
  return { ...nothing, ...only(env, (name) => isPassed(name) || name === "LOG_LEVEL") };
}

function only(env: Environment, isWanted: (name: string) => boolean): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isWanted(name)));
}
