/** The one kind of client that connections to DATABASE_URL are made with, by both pools and by commands. */
import type pg from "pg";
import { connectionParts, placesOf, settingsNeeded } from "./connection-parts.ts";
import { createHosts, type FindHost } from "./hosts.ts";
import { QuietClient } from "./quiet-client.ts";
import { isLentByTransaction, type SessionSettings, setUpSession } from "./session.ts";

/** What a pool or a command wants of its connections beside what DATABASE_URL says. */
export interface ClientOptions
  extends Omit<pg.ClientConfig, "host" | "port" | "connectionString" | "options"> {
  readonly settings?: SessionSettings;
}

export interface HostClients {
  /** A class, because pg's pool and Sequelize make their clients themselves. */
  withOptions(options: ClientOptions): new (config?: pg.ClientConfig) => HostClient;
  newClient(options: ClientOptions): HostClient;
}

/** What the clients of one URL have in common. */
interface Common {
  readonly findHost: FindHost;
  readonly connectTimeoutMs: number;
  /** Whether a pooler is between us and the server that lends it by transaction: once one was met. */
  lentByTransaction: Promise<boolean> | undefined;
}

/** Clients that look for their host together, and prefer the one where the last of them found it. */
export function hostClients(url: string): HostClients {
  const { places, target } = placesOf(url);
  const parts = connectionParts(url);
  const needed = settingsNeeded(url);
  const common: Common = {
    findHost: createHosts(places, target, parts),
    connectTimeoutMs: parts.connectionTimeoutMillis,
    lentByTransaction: undefined,
  };
  const withOptions = ({ settings, ...options }: ClientOptions) =>
    class extends HostClient {
      constructor(config: pg.ClientConfig = {}) {
        const all = { needed: { ...needed, ...settings?.needed }, known: settings?.known ?? {} };
        super({ ...config, ...parts, ...options }, all, common);
      }
    };
  return { withOptions, newClient: (options) => new (withOptions(options))() };
}

export class HostClient extends QuietClient {
  /** What Sequelize's pool asks before it hands a connection out again; the writers drop theirs themselves. */
  _invalid = false;
  /** No two transactions need have the same session: no setting, no name and no lock outlives one. */
  isLentByTransaction = false;
  readonly #config: pg.ClientConfig;
  readonly #settings: SessionSettings;
  readonly #common: Common;

  constructor(config: pg.ClientConfig, settings: SessionSettings, common: Common) {
    super(config);
    this.#config = config;
    this.#settings = settings;
    this.#common = common;
    internalsOf(this).connection.on("errorMessage", ({ code }: pg.DatabaseError) => {
      if (code === readOnly) this._invalid = true;
    });
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: (error: Error) => void): void;
  override connect(callback?: (error: Error) => void): Promise<pg.Client> | undefined {
    const opened = this.#open();
    if (callback === undefined) return opened;
    opened.then(() => (callback as () => void)(), callback);
    return undefined;
  }

  async #open(): Promise<pg.Client> {
    const { findHost, connectTimeoutMs: timeoutMs } = this.#common;
    const { host, port } = await findHost();
    // pg looks up a password in PGPASSFILE by the parameters.
    for (const one of [this, internalsOf(this).connectionParameters]) {
      Object.assign(one, { host, port });
    }
    await super.connect();
    try {
      if (await setUpSession(this, this.#settings, { timeoutMs })) return this;
      this.#common.lentByTransaction ??= this.#askIfLent();
      this.isLentByTransaction = await this.#common.lentByTransaction;
      if (!this.isLentByTransaction) {
        await setUpSession(this, this.#settings, { always: true, timeoutMs });
      }
      return this;
    } catch (error) {
      this.end().catch(() => {});
      throw error;
    }
  }

  async #askIfLent(): Promise<boolean> {
    const { host, port } = this;
    const timeout = { query_timeout: this.#common.connectTimeoutMs };
    const other = new QuietClient({ ...this.#config, ...timeout, host, port, pipeline: false });
    try {
      await other.connect();
      return await isLentByTransaction(this, other);
    } catch {
      // No second session was to be had: each client keeps its own. Asked again by the next one.
      this.#common.lentByTransaction = undefined;
      return false;
    } finally {
      other.end().catch(() => {});
    }
  }
}

/** Whether a pooler lends the session by transaction. */
export function isLent(client: pg.ClientBase): boolean {
  return client instanceof HostClient && client.isLentByTransaction;
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
