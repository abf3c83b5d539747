/**
 * A prepared statement that answers one value, as text. pg's own Query has the row described anew
 * each time, copies its settings and makes a result object: 41 us of the 133 that a batch of 32 took
 * of this process's time, by the profiler.
 */
import pg from "pg";
import { isLent } from "./host-client.ts";
import { QuietClient } from "./quiet-client.ts";
import { notKnownToLast } from "./translate-error.ts";

/**
 * Prepared once a connection, under its name: parsing it anew would cost more than a batch of one. Without
 * the name where the next transaction may meet another session.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * @param timeoutMs in place of the client's query_timeout; the writers have one clock for all they have sent
 * @returns the first column of the last row, null without one, when the server is ready again: after the commit
 * @throws what the driver throws; OUTCOME_UNKNOWN when the server has not waited for its standby
 */
export function queryOneValue(
  client: pg.ClientBase,
  statement: Statement,
  values: readonly (string | null)[],
  timeoutMs?: number,
): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const query = new OneValueQuery(nameable(client, statement), values, (error, value) => {
      const isDoubtful = client instanceof QuietClient && client.takeGaveUpStandby();
      if (error) reject(error);
      else if (isDoubtful) reject(notKnownToLast());
      else resolve(value);
    });
    query.query_timeout = timeoutMs;
    client.query(query);
  });
}

function nameable(client: pg.ClientBase, { name, text }: Statement): Statement {
  return { name: isLent(client) ? "" : name, text };
}

type Callback = (error: Error | null, value: string | null) => void;

/** What pg's Client calls of a query; it puts its timeout around `callback`. */
class OneValueQuery implements pg.Submittable {
  readonly name: string;
  readonly text: string;
  callback: Callback;
  private readonly values: readonly (string | null)[];
  private value: string | null = null;
  /** Read by pg. */
  query_timeout: number | undefined;

  constructor({ name, text }: Statement, values: readonly (string | null)[], callback: Callback) {
    this.name = name;
    this.text = text;
    this.values = values;
    this.callback = callback;
  }

  submit(connection: pg.Connection): void {
    const { name, text, values } = this;
    const wire = connection as unknown as Wire;
    wire.stream.cork();
    if (name === "") {
      wire.parse({ name, text });
    } else if ((wire.parsedStatements[name] ?? wire.submittedNamedStatements[name]) === undefined) {
      wire.parse({ name, text });
      wire.submittedNamedStatements[name] = text;
    }
    wire.bind({ statement: name, values });
    wire.execute({});
    wire.sync();
    wire.stream.uncork();
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.value = fields[0] ?? null;
  }

  handleCommandComplete(): void {
    // Not committed yet: that is what handleReadyForQuery says.
  }

  handleReadyForQuery(): void {
    this.callback(null, this.value);
  }

  handleError(error: Error): void {
    this.callback(error, null);
  }
}

// In pipeline mode pg takes no query classes but its own, because a cursor would keep the connection
// between two answers. This one is answered by one Sync, as pg's own is.
Object.setPrototypeOf(OneValueQuery.prototype, pg.Query.prototype);

/** What the types of pg's Connection leave out. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  /** By name; pg adds a statement when the server has parsed it. */
  readonly parsedStatements: Readonly<Record<string, string>>;
  /** The same between the sending and that; pg takes it out again. */
  readonly submittedNamedStatements: Record<string, string>;
  parse(statement: Statement): void;
  bind(portal: { statement: string; values: readonly (string | null)[] }): void;
  execute(portal: { rows?: number }): void;
  sync(): void;
}
