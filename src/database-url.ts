/**
 * DATABASE_URL, read in one place: what it says goes to every connection as parts, and never again as
 * text. As libpq reads it, but stricter: what means nothing here, or two things, is refused.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

export interface DatabaseUrl {
  /** One, or several that are tried in turn. */
  readonly places: readonly Place[];
  readonly target: Target;
  /** Absent: the user of the operating system. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly tls: Tls;
  readonly auth: readonly AuthMethod[];
  /** Names of files. */
  readonly sslrootcert: string | undefined;
  readonly sslcert: string | undefined;
  readonly sslkey: string | undefined;
  readonly options: string | undefined;
  readonly applicationName: string | undefined;
  readonly connectTimeoutSeconds: number | undefined;
}

/** Where a server listens. */
export interface Place {
  /** A name, an address, or the folder of a socket. */
  readonly host: string;
  readonly port: number;
}

/** Which of the hosts will do: whoever answers, who takes changes, or who is no standby. */
export type Target = "any" | "read-write" | "primary";

/** Off, encrypted, of a certified server, or of a certified server of this name. */
export type Tls = "disable" | "require" | "verify-ca" | "verify-full";

/** How a server may have us prove who we are; "none" is that it does not ask. */
export type AuthMethod = (typeof authMethods)[number];
const authMethods = ["password", "md5", "scram-sha-256", "none"] as const;

/** What is wrong with the text, as it follows "DATABASE_URL". Never a part of the text that may be secret. */
export class DatabaseUrlProblem extends Error {}

/** @throws DatabaseUrlProblem */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const given = partsOf(text);
  const places = placesOf(given["host"] ?? "", given["port"] ?? "");
  const tls = tlsAt(places, given);
  return {
    places,
    target: targetOf(given["target_session_attrs"], places),
    user: given["user"] || undefined,
    password: given["password"] || undefined,
    database: given["dbname"] || undefined,
    tls,
    auth: authOf(given["require_auth"], tls),
    sslrootcert: given["sslrootcert"] === "system" ? undefined : given["sslrootcert"] || undefined,
    sslcert: given["sslcert"] || undefined,
    sslkey: given["sslkey"] || undefined,
    options: given["options"] || undefined,
    applicationName: given["application_name"] || undefined,
    connectTimeoutSeconds: seconds(given["connect_timeout"]),
  };
}

/** Of a URL: where an environment variable has what the URL leaves out, as psql takes it. */
const environment: readonly [part: string, variable: string][] = [
  ["host", "PGHOST"],
  ["port", "PGPORT"],
  ["user", "PGUSER"],
  ["password", "PGPASSWORD"],
  ["dbname", "PGDATABASE"],
  ["options", "PGOPTIONS"],
  ["sslmode", "PGSSLMODE"],
  ["sslrootcert", "PGSSLROOTCERT"],
  ["sslcert", "PGSSLCERT"],
  ["sslkey", "PGSSLKEY"],
  ["target_session_attrs", "PGTARGETSESSIONATTRS"],
  ["require_auth", "PGREQUIREAUTH"],
];

/**
 * The URL with what it leaves out and the environment has.
 * @throws DatabaseUrlProblem
 */
export function completeDatabaseUrl(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const given = partsOf(text);
  // One says all about encryption.
  if (given["ssl"]) given["sslmode"] = given["ssl"];
  const missing = environment.filter(([part, variable]) => !given[part] && env[variable]);
  const added = missing.map(([part, name]) => `${part}=${encodeURIComponent(env[name] ?? "")}`);
  const whole = [text, added.join("&")].filter(Boolean).join(text.includes("?") ? "&" : "?");
  parseDatabaseUrl(whole);
  return whole;
}

/**
 * The URL of connections that look into this schema and no other.
 * @param schema a plain name
 * @throws DatabaseUrlProblem when it says another search_path itself
 */
export function inSchema(text: string, schema: string): string {
  const { options } = parseDatabaseUrl(text);
  if (options !== undefined && /search_path/.test(options)) {
    problem("says a search_path in its options, and BALANCECTL_SCHEMA another");
  }
  const [head = "", query = ""] = splitOnce(text, "?");
  const others = query.split("&").filter((part) => part !== "" && !part.startsWith("options="));
  const all = [options, `-c search_path=${schema},pg_temp`].filter(Boolean).join(" ");
  return `${head}?${[...others, `options=${encodeURIComponent(all)}`].join("&")}`;
}

/** The schema of `inSchema`; undefined where the role or the database decides. */
export function schemaOf(text: string): string | undefined {
  return /search_path=(\w+),pg_temp/.exec(parseDatabaseUrl(text).options ?? "")?.[1];
}

const shape =
  /^postgres(?:ql)?:\/\/(?<authority>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/;

/** What the text says, by the names of parameters, which go before what stands in front of them. */
function partsOf(text: string): Record<string, string> {
  if (!/^postgres(ql)?:\/\//.test(text)) {
    problem("must be a URL that begins with postgres:// or postgresql://");
  }
  if (/[\s#]/.test(text)) problem("has a blank or a #, which are written %20 and %23");
  const found = shape.exec(text)?.groups;
  if (!found) return problem("must be a valid URL, like postgres://user:pw@host:5432/db");
  const authority = (found["authority"] ?? "").split("@");
  if (authority.length > 2) problem("has two @; the one in a name or a password is written %40");
  const [user, password = ""] = splitOnce(authority.length === 2 ? authority[0] : "", ":");
  const { host, port } = hostsAndPorts(authority.at(-1) ?? "");
  const written = { host, port, user, password, dbname: found["database"] ?? "" };
  const front = Object.entries(written).map(([name, part]) => [name, decoded(part)]);
  return { ...Object.fromEntries(front), ...parameters(found["query"] ?? "") };
}

const known = [
  ...["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"],
  ...["ssl", "options", "application_name", "connect_timeout", "uselibpqcompat"],
  ...["target_session_attrs", "require_auth"],
];

function parameters(query: string): Record<string, string> {
  const given: Record<string, string> = {};
  for (const part of query.split("&").filter(Boolean)) {
    const [name = "", value = ""] = splitOnce(part, "=").map((text) => decoded(text ?? ""));
    if (!known.includes(name)) {
      problem(
        `has the parameter ${JSON.stringify(name)}, which means nothing here (${known.join(", ")})`,
      );
    }
    if (name in given) problem(`has the parameter ${name} twice`);
    given[name] = value;
  }
  return given;
}

/** Lists, separated by commas, as the parameters of these names have them. */
function hostsAndPorts(text: string): { host: string; port: string } {
  const each = text.split(",").map(hostAndPort);
  const ports = each.map(({ port = "" }) => port);
  return {
    host: each.map(({ host }) => host).join(","),
    port: ports.some(Boolean) ? ports.join(",") : "",
  };
}

function placesOf(hostList: string, portList: string): Place[] {
  const hosts = hostList.split(",");
  const ports = portList.split(",");
  if (ports.length > 1 && ports.length !== hosts.length) {
    problem(`has ${hosts.length} hosts and ${ports.length} ports: as many of both, or one port`);
  }
  if (hosts.length > 1 && hosts.includes("")) problem("has a comma too many between its hosts");
  return hosts.map((host, index) => {
    const port = (ports.length === 1 ? ports[0] : ports[index]) || "5432";
    return { host: host || "localhost", port: portNumber(port) };
  });
}

/** Nobody listens in on a socket of this machine, so psql does not encrypt there either. */
function tlsAt(places: readonly Place[], given: Record<string, string>): Tls {
  if (places.every(isSocket)) return "disable";
  const tls = tlsOf(given);
  if (tls !== "disable" && places.some(isSocket)) {
    problem("asks for encryption, and one of its hosts is a socket, which has none");
  }
  return tls;
}

function isSocket({ host }: Place): boolean {
  return host.startsWith("/");
}

function targetOf(text: string | undefined, places: readonly Place[]): Target {
  switch (text || undefined) {
    case undefined:
      return places.length > 1 ? "read-write" : "any";
    case "any":
    case "read-write":
    case "primary":
      return text as Target;
    default:
      return problem(
        `has target_session_attrs=${text}: changes need a server that writes, so it is read-write, ` +
          "primary or any",
      );
  }
}

/**
 * As libpq's require_auth, but by default without what gives the password to whoever asks for it, or a digest that is
 * as good: another may listen where the server did. A server that is certified under its name may ask; a host of the
 * same authority (verify-ca) may be anybody's.
 */
function authOf(text: string | undefined, tls: Tls): readonly AuthMethod[] {
  if (!text) return tls === "verify-full" ? authMethods : ["scram-sha-256", "none"];
  const names = text.split(",").map((name) => name.replace(/^!/, ""));
  const unknown = names.find((name) => !(authMethods as readonly string[]).includes(name));
  const negations = text.split(",").filter((name) => name.startsWith("!")).length;
  if (unknown !== undefined || (negations > 0 && negations < names.length)) {
    problem(
      `has a require_auth that is no list of ${authMethods.join(", ")}, or of what not, with !`,
    );
  }
  return authMethods.filter((method) => names.includes(method) === (negations === 0));
}

function hostAndPort(text: string): { host: string; port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed) return { host: bracketed[1] ?? "", port: bracketed[2] };
  const [host = "", port] = splitOnce(text, ":");
  return { host, port };
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    problem("must be a valid URL: its port is a number from 1 to 65535");
  }
  return port;
}

function seconds(text: string | undefined): number | undefined {
  if (!text) return undefined;
  if (!/^\d{1,5}$/.test(text)) problem("has a connect_timeout that is no whole number of seconds");
  return Number(text) || undefined;
}

function tlsOf({ ssl, sslmode, sslrootcert, uselibpqcompat }: Record<string, string>): Tls {
  if (uselibpqcompat === "false") {
    problem("has uselibpqcompat=false; sslmode means here what it means to psql");
  }
  if (ssl && sslmode) problem("has both ssl and sslmode; sslmode says it all");
  switch (sslmode || ssl || undefined) {
    case undefined:
    case "disable":
    case "false":
    case "0":
      return "disable";
    // As psql does: who names an authority wants it asked.
    case "require":
      return sslrootcert ? "verify-ca" : "require";
    case "no-verify":
      return "require";
    case "verify-ca":
      if (!sslrootcert) {
        problem("has sslmode=verify-ca without sslrootcert, the file of the authority to trust");
      }
      return "verify-ca";
    case "verify-full":
    case "true":
    case "1":
      return "verify-full";
    default:
      return problem(
        "has an sslmode that is none of disable, require, verify-ca, verify-full, no-verify",
      );
  }
}

function splitOnce(text: string | undefined, by: string): [string, string | undefined] {
  const [first = "", ...rest] = (text ?? "").split(by);
  return [first, rest.length > 0 ? rest.join(by) : undefined];
}

function decoded(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    // The protocol ends a text with it.
    if (plain.includes("\0")) problem("has %00 in it");
    return plain;
  } catch (error) {
    if (error instanceof DatabaseUrlProblem) throw error;
    return problem(
      "must be a valid URL: a % is followed by two hexadecimal digits, and by itself %25",
    );
  }
}

function problem(message: string): never {
  throw new DatabaseUrlProblem(message);
}
