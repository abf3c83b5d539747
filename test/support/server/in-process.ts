/** The API on a real socket and a real database, in this process: for a clock that a test moves. */
import { type AccessOptions, openAccess, openToAll } from "../../../src/access/access.ts";
import { type AppOptions, createApp } from "../../../src/http/app.ts";
import { startHttpServer } from "../../../src/http/server.ts";
import type { Ledger } from "../../../src/ledger/ledger.ts";
import { createLogger } from "../../../src/log.ts";
import { afterFile } from "../cleanup.ts";
import { openTestLedger } from "../database/database.ts";
import { asServerRole } from "../global-setup.ts";

export const appOptions: AppOptions = {
  host: "127.0.0.1",
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  requireKeys: false,
  bodyBytesMax: 100_000,
};

export interface InProcessServer {
  readonly url: string;
  readonly ledger: Ledger;
}

/** Call it at the top of a file: what it opens is closed after the file. */
export async function serveInProcess(
  databaseUrl: string,
  options: Parameters<typeof openTestLedger>[1] = {},
  { door, ...app }: Partial<AppOptions> & { door?: Partial<AccessOptions> } = {},
): Promise<InProcessServer> {
  // The clock is its owner's to set.
  const url = options.now === undefined ? asServerRole(databaseUrl) : databaseUrl;
  const { ledger, database } = openTestLedger(url, options);
  const access =
    door === undefined
      ? openToAll
      : await openAccess({
          ...{ writer: database.aside, tokens: [], allowAnonymous: false, onFailures: () => {} },
          ...door,
        });
  const log = createLogger("error");
  const api = { ledger, notReady: async () => null, access, metrics: async () => "" };
  const server = await startHttpServer(createApp(api, log, { ...appOptions, ...app }), {
    host: "127.0.0.1",
    port: 0,
  });
  afterFile(async () => access.close());
  afterFile(() => server.stop(5_000));
  return { url: server.url, ledger };
}
