/** The one kind of client that connections to DATABASE_URL are made with, by both pools and by commands. */
import type pg from "pg";
import { connectionParts, placesOf } from "./connection-parts.ts";
import { createHosts, type FindHost } from "./hosts.ts";
import { QuietClient } from "./quiet-client.ts";

/** What a pool or a command wants of its connections beside what DATABASE_URL says. */
export type ClientOptions = Omit<pg.ClientConfig, "host" | "port" | "connectionString">;

export interface HostClients {
  /** A class, because pg's pool and Sequelize make their clients themselves. */
  withOptions(options: ClientOptions): new (config?: pg.ClientConfig) => HostClient;
  newClient(options: ClientOptions): HostClient;
}

/** Clients that look for their host together, and prefer the one where the last of them found it. */
export function hostClients(url: string): HostClients {
  const { places, target } = placesOf(url);
  const parts = connectionParts(url);
  const findHost = createHosts(places, target, parts);
  const withOptions = (options: ClientOptions) =>
    class extends HostClient {
      constructor(config: pg.ClientConfig = {}) {
        super(findHost, { ...config, ...parts, ...options });
      }
    };
  return { withOptions, newClient: (options) => new (withOptions(options))() };
}

export class HostClient extends QuietClient {
  /** What Sequelize's pool asks before it hands a connection out again; the writers drop theirs themselves. */
  _invalid = false;
  readonly #findHost: FindHost;

  constructor(findHost: FindHost, config: pg.ClientConfig) {
    super(config);
    this.#findHost = findHost;
    internalsOf(this).connection.on("errorMessage", ({ code }: pg.DatabaseError) => {
      if (code === readOnly) this._invalid = true;
    });
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: (error: Error) => void): void;
  override connect(callback?: (error: Error) => void): Promise<pg.Client> | undefined {
    const opened = this.open();
    if (callback === undefined) return opened;
    opened.then(() => (callback as () => void)(), callback);
    return undefined;
  }

  private async open(): Promise<pg.Client> {
    const { host, port } = await this.#findHost();
    // pg looks up a password in PGPASSFILE by the parameters.
    for (const one of [this, internalsOf(this).connectionParameters]) {
      Object.assign(one, { host, port });
    }
    return await super.connect();
  }
}

/** read_only_sql_transaction: the server was the primary once, and another may be now. */
const readOnly = "25006";

/** What the types of pg's Client leave out. */
interface Internals {
  readonly connection: NodeJS.EventEmitter;
  readonly connectionParameters: object;
}

function internalsOf(client: pg.Client): Internals {
  return client as unknown as Internals;
}
