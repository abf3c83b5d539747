/** Starts the servers that are measured, each on a database of its own where it has one. */
import type { Bench } from "./bench.ts";
import { balanceReader, type Reader, tableReader } from "./books.ts";
import type { Work } from "./load/load.ts";
import { balancectlScript, benchScript, type ServerProcess, startServer } from "./processes.ts";
import { createSimpleSchema } from "./simple-schema.ts";

export interface Running {
  readonly server: ServerProcess;
  readonly books: (work: Work) => Reader;
  /** Undefined for those who have none. */
  readonly databaseUrl: string | undefined;
  readonly stop: () => Promise<void>;
}

export async function startInMemory(script: "bare-http" | "no-database"): Promise<Running> {
  const server = await startServer([benchScript(`servers/${script}.js`)]);
  return {
    server,
    books: (work) => balanceReader(server.url, work),
    databaseUrl: undefined,
    stop: server.stop,
  };
}

export async function startOnSequelize(
  bench: Bench,
  script: "for-update" | "conditional-update",
): Promise<Running> {
  const url = await bench.database.create();
  await createSimpleSchema(url);
  return onDatabase(bench, url, await startServer([benchScript(`servers/${script}.js`), url]));
}

/** The built program, as a person starts it. @param url of a database that has the schema */
export async function startBalancectl(
  bench: Bench,
  flags: readonly string[] = [],
  url?: string,
): Promise<Running> {
  const databaseUrl = url ?? (await bench.database.create(await bench.template()));
  const args = [balancectlScript, "serve", "--json", "--port", "0", ...flags];
  return onDatabase(bench, databaseUrl, await startServer(args, { DATABASE_URL: databaseUrl }));
}

function onDatabase(bench: Bench, databaseUrl: string, server: ServerProcess): Running {
  return {
    server,
    databaseUrl,
    books: (work) => tableReader(databaseUrl, work),
    stop: async () => {
      await server.stop();
      await bench.database.drop(databaseUrl);
    },
  };
}
