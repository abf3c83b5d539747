/**
 * Settings: flags win over the environment, the environment over `.env`. Everything is checked at
 * once, and every problem names its variable.
 */
import { isIP } from "node:net";
import { userInfo } from "node:os";
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { completeDatabaseUrl, DatabaseUrlProblem, inSchema, schemaOf } from "./database-url.ts";
import { BalancectlError } from "./errors.ts";
import { idempotencyDaysMax, legsMax, portMax } from "./limits.ts";
import { parseSettingTokens, type SettingToken } from "./token.ts";

/** One settings table: variable, rule, default and meaning. `.env.example` is checked against it. */
const wholeNumber = (min: number, max: number, fallback: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`)
    .default(fallback);

const yesOrNo = z.enum(["true", "false"], { error: "must be true or false" }).default("false");

const listOf = (isOne: (text: string) => boolean, error: string) =>
  z
    .string()
    .transform(words)
    .refine((list) => list.every(isOne), { error })
    .default([]);

const settings = z.object({
  HOST: z.string().default("127.0.0.1"),
  PORT: wholeNumber(0, portMax, 3000),
  DATABASE_URL: z.string().optional(),
  BALANCECTL_DATA_DIR: z.string().optional(),
  // What needs no quotes: it stands in settings of connections.
  BALANCECTL_SCHEMA: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/, {
      error: "must be a name of lower-case letters, digits and _, not beginning with pg_",
    })
    .optional(),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
      error: "must be one of fatal, error, warn, info, debug, trace, silent",
    })
    .default("info"),
  // 500: beyond it a batch gains little and one slow commit delays more callers (ARCHITECTURE.md).
  BALANCECTL_BATCH_SIZE_MAX: wholeNumber(1, 5_000, 500),
  // 20,000: the headline run (10,000 at once) fits twice. A full batch of transfers must fit, or it is told
  // to try again later for ever.
  BALANCECTL_WAITING_MAX: wholeNumber(legsMax, 1_000_000, 20_000),
  // 4: lanes are filled one after another, so that those which are not needed cost nothing.
  BALANCECTL_LANES: wholeNumber(1, 64, 4),
  BALANCECTL_ALLOWED_HOSTS: z.string().default(""),
  BALANCECTL_ALLOWED_ORIGINS: listOf(isOrigin, "must be origins like https://app.example"),
  BALANCECTL_TRUSTED_PROXIES: listOf(isNetwork, "must be addresses or networks like 10.0.0.0/8"),
  BALANCECTL_ALLOW_ANONYMOUS: yesOrNo,
  BALANCECTL_TOKENS: z.string().default(""),
  BALANCECTL_TOKENS_FILE: z.string().optional(),
  // 0: what the open files of the process allow.
  BALANCECTL_CONNECTIONS_MAX: wholeNumber(0, 1_000_000, 0),
  BALANCECTL_READ_CONNECTIONS_MAX: wholeNumber(1, 200, 8),
  BALANCECTL_LOCK_TIMEOUT_MS: wholeNumber(1, 600_000, 1_000),
  BALANCECTL_STATEMENT_TIMEOUT_MS: wholeNumber(1, 600_000, 10_000),
  BALANCECTL_IDEMPOTENCY_DAYS: wholeNumber(1, idempotencyDaysMax, 30),
  BALANCECTL_REQUIRE_KEYS: yesOrNo,
  BALANCECTL_BODY_BYTES_MAX: wholeNumber(64, 10_000_000, 100_000),
  BALANCECTL_SHUTDOWN_DELAY_MS: wholeNumber(0, 600_000, 0),
  BALANCECTL_DRAIN_TIMEOUT_MS: wholeNumber(0, 600_000, 10_000),
  // Of commands with --url and of stress, which read them by themselves (cli/access-token.ts): no server has use for them.
  BALANCECTL_TOKEN: z.string().optional(),
  BALANCECTL_TOKEN_FILE: z.string().optional(),
});

export type SettingName = keyof typeof settings.shape;
export const settingNames = Object.keys(settings.shape) as SettingName[];

/** What a setting is where nobody sets it; undefined where that depends, or is nothing. */
export function defaultOf(name: SettingName): unknown {
  return settings.shape[name].parse(undefined);
}

/** Times in milliseconds, sizes in bytes. There is a `databaseUrl`, or the embedded PostgreSQL's `dataDir`. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string | undefined;
  readonly dataDir: string | undefined;
  /** Where the tables are; undefined: where the search_path of the role leads, which is "public". */
  readonly schema: string | undefined;
  /** Host names, beside the loopback ones and the address it listens on, that a server answers for. */
  readonly allowedHosts: readonly string[];
  /** Web origins, beside its own, from which it may be used. */
  readonly allowedOrigins: readonly string[];
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Whether requests without a token are answered though others have one. */
  readonly allowAnonymous: boolean;
  readonly tokens: readonly SettingToken[];
  readonly tokensFile: string | undefined;
  readonly logLevel: z.output<typeof settings>["LOG_LEVEL"];
  readonly batchSizeMax: number;
  readonly waitingMax: number;
  readonly lanes: number;
  /** Of clients, at once; 0: what the open files of the process allow. */
  readonly connectionsMax: number;
  readonly readConnectionsMax: number;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly idempotencyDays: number;
  /** Whether the API refuses a change without an Idempotency-Key. */
  readonly requireKeys: boolean;
  readonly bodyBytesMax: number;
  /** How long it serves on, not ready, when it is asked to stop. */
  readonly shutdownDelayMs: number;
  readonly drainTimeoutMs: number;
}

/** Set to nothing they would put another database in the place of the one that was meant. */
const neverEmpty: readonly SettingName[] = ["DATABASE_URL", "BALANCECTL_DATA_DIR"];

/**
 * Reads the settings out of `env`; an empty variable counts as not set, but for those that say where the
 * ledger is.
 * @throws BalancectlError CONFIG_INVALID, one line for every variable that is wrong.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    settingNames.filter((name) => env[name]).map((name) => [name, env[name]]),
  );
  const result = settings.safeParse(given);
  const problems = (result.error?.issues ?? []).map((issue) => {
    const name = String(issue.path[0]);
    return `${name} ${issue.message} (it is ${JSON.stringify(env[name])})`;
  });
  for (const name of neverEmpty) {
    if (env[name] === "") problems.push(`${name} is set but empty: unset it for the default`);
  }
  const place = placeOf(env);
  problems.push(...place.problems);
  let tokens: readonly SettingToken[] = [];
  try {
    tokens = parseSettingTokens(env["BALANCECTL_TOKENS"] ?? "");
  } catch (error) {
    problems.push(`BALANCECTL_TOKENS ${(error as Error).message}`);
  }
  // A setting that is spelled wrong must not be a default in silence.
  const unknown = Object.keys(env).filter(
    (name) =>
      name.startsWith("BALANCECTL_") &&
      !(name in settings.shape) &&
      !isServiceLink(name, env[name]),
  );
  for (const name of unknown)
    problems.push(`${name} is not a setting; .env.example names them all`);
  if (!result.success || problems.length > 0) {
    throw new BalancectlError("CONFIG_INVALID", problems.join("\n"));
  }
  const s = result.data;
  return Object.freeze({
    host: s.HOST,
    port: s.PORT,
    databaseUrl: place.databaseUrl,
    dataDir: place.dataDir,
    schema: s.BALANCECTL_SCHEMA,
    allowedHosts: words(s.BALANCECTL_ALLOWED_HOSTS.toLowerCase()),
    allowedOrigins: s.BALANCECTL_ALLOWED_ORIGINS,
    trustedProxies: s.BALANCECTL_TRUSTED_PROXIES,
    allowAnonymous: s.BALANCECTL_ALLOW_ANONYMOUS === "true",
    tokens,
    tokensFile: s.BALANCECTL_TOKENS_FILE,
    logLevel: s.LOG_LEVEL,
    batchSizeMax: s.BALANCECTL_BATCH_SIZE_MAX,
    waitingMax: s.BALANCECTL_WAITING_MAX,
    lanes: s.BALANCECTL_LANES,
    connectionsMax: s.BALANCECTL_CONNECTIONS_MAX,
    readConnectionsMax: s.BALANCECTL_READ_CONNECTIONS_MAX,
    lockTimeoutMs: s.BALANCECTL_LOCK_TIMEOUT_MS,
    statementTimeoutMs: s.BALANCECTL_STATEMENT_TIMEOUT_MS,
    idempotencyDays: s.BALANCECTL_IDEMPOTENCY_DAYS,
    requireKeys: s.BALANCECTL_REQUIRE_KEYS === "true",
    bodyBytesMax: s.BALANCECTL_BODY_BYTES_MAX,
    shutdownDelayMs: s.BALANCECTL_SHUTDOWN_DELAY_MS,
    drainTimeoutMs: s.BALANCECTL_DRAIN_TIMEOUT_MS,
  });
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** As browsers send it: no path, no default port. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && text !== "null";
}

function isNetwork(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return bits === undefined ? bitsMax > 0 : /^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax;
}

/** Where the ledger is: the database that the URL names, or else a folder. */
function placeOf(env: Readonly<Record<string, string | undefined>>): {
  databaseUrl?: string;
  dataDir?: string;
  problems: string[];
} {
  const { DATABASE_URL, BALANCECTL_DATA_DIR, BALANCECTL_SCHEMA } = env;
  const problems: string[] = [];
  try {
    // With a database no folder is needed, nor a home to have it in.
    if (DATABASE_URL) {
      const databaseUrl = completeDatabaseUrl(DATABASE_URL, env);
      // A worker's has it already.
      if (BALANCECTL_SCHEMA && schemaOf(databaseUrl) !== BALANCECTL_SCHEMA) {
        return { databaseUrl: inSchema(databaseUrl, BALANCECTL_SCHEMA), problems };
      }
      return { databaseUrl, problems };
    }
  } catch (error) {
    if (!(error instanceof DatabaseUrlProblem)) throw error;
    return { problems: [`DATABASE_URL ${error.message}`] };
  }
  try {
    const dataDir = BALANCECTL_DATA_DIR ? inHome(BALANCECTL_DATA_DIR, env) : defaultDataDir(env);
    return { dataDir, problems };
  } catch (error) {
    return { problems: [`BALANCECTL_DATA_DIR ${(error as Error).message}`] };
  }
}

/** `~` as a shell reads it: one that came out of a .env has met no shell. */
function inHome(folder: string, env: Readonly<Record<string, string | undefined>>): string {
  if (!folder.startsWith("~")) return folder;
  if (folder !== "~" && !folder.startsWith("~/")) {
    throw new Error("may begin with ~/ for your home folder, but not with ~ and a name");
  }
  return join(homeFolder(env), folder.slice(1));
}

/** Root's home is closed to the user PostgreSQL must run as, so root keeps its data below /var/lib. */
function defaultDataDir(env: Readonly<Record<string, string | undefined>>): string {
  if (process.getuid?.() === 0) return "/var/lib/balancectl";
  const { XDG_DATA_HOME = "" } = env;
  // A relative one is to be ignored, by the specification of these folders.
  if (isAbsolute(XDG_DATA_HOME)) return join(XDG_DATA_HOME, "balancectl");
  return join(homeFolder(env), ".local", "share", "balancectl");
}

/** @throws when there is none, as for a user whom the system does not know */
function homeFolder(env: Readonly<Record<string, string | undefined>>): string {
  const home = env["HOME"] || accountHome();
  if (home && isAbsolute(home)) return home;
  throw new Error(
    "must be set, to the folder for the embedded PostgreSQL: this user has no home folder (or set " +
      "DATABASE_URL)",
  );
}

function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    return undefined;
  }
}

/**
 * What Kubernetes puts into every container of a namespace with a Service called balancectl, or
 * balancectl-and-more.
 * @see https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
function isServiceLink(name: string, value = ""): boolean {
  if (/_SERVICE_HOST$/.test(name)) return true;
  if (/_SERVICE_PORT(_[A-Z0-9_]+)?$/.test(name)) return /^\d+$/.test(value);
  if (/_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return /_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value);
}
