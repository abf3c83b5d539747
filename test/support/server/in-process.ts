/** The API on a real socket and a real database, in this process: for a clock that a test moves. */
import { createApp } from "../../../src/http/app.ts";
import { startHttpServer } from "../../../src/http/server.ts";
import type { Ledger } from "../../../src/ledger/ledger.ts";
import { createLogger } from "../../../src/log.ts";
import { afterFile } from "../cleanup.ts";
import { openTestLedger } from "../database/database.ts";

export const appOptions = {
  host: "127.0.0.1",
  allowedHosts: [],
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
): Promise<InProcessServer> {
  const { ledger } = openTestLedger(databaseUrl, options);
  const log = createLogger("error");
  const api = { ledger, notReady: async () => null };
  const app = createApp(api, log, appOptions);
  const server = await startHttpServer(app, { host: "127.0.0.1", port: 0 });
  afterFile(() => server.stop(5_000));
  return { url: server.url, ledger };
}
