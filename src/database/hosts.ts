/**
 * Which of the hosts in DATABASE_URL is worked with: the first that will do, beginning with the one that
 * did last. It is looked for before each connection, so nothing has to be remembered of who has failed,
 * and all who look at the same time look together.
 */
import pg from "pg";
import type { Place, Target } from "../database-url.ts";
import { type ConnectionParts, placeLabel } from "./connection-parts.ts";
import { QuietClient } from "./quiet-client.ts";

/** The code of the error when none of several hosts will do now. */
export const noHost = "NO_HOST";

/** @throws an Error that says of each host why it will not do; a DatabaseError where one answered so */
export type FindHost = () => Promise<Place>;

/** A host that has not answered by then is not waited for alone: the next is asked beside it. */
const aloneMs = 500;

export function createHosts(
  places: readonly Place[],
  target: Target,
  parts: ConnectionParts,
): FindHost {
  const [only] = places;
  // Nothing to choose: the connection itself says what is wrong with it.
  if (places.length === 1 && only !== undefined && target === "any") return async () => only;
  let order = places;
  let looking: Promise<Place> | undefined;
  const look = async () => {
    try {
      const found = await firstOf(order, (place) => ask(parts, place, target));
      order = [found, ...order.filter((place) => place !== found)];
      return found;
    } finally {
      looking = undefined;
    }
  };
  return () => {
    looking ??= look();
    return looking;
  };
}

/** Rejects unless the server there will do. */
async function ask(parts: ConnectionParts, place: Place, target: Target): Promise<void> {
  const client = new QuietClient({
    ...parts,
    ...place,
    query_timeout: parts.connectionTimeoutMillis,
  });
  try {
    await client.connect();
    if (target === "any") return;
    const { rows } = await client.query<{ standby: boolean; readOnly: string }>(
      `SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') AS "readOnly"`,
    );
    if (rows[0]?.standby) throw new Error("is a standby");
    if (target === "read-write" && rows[0]?.readOnly === "on") throw new Error("is read-only");
  } finally {
    // Not waited for: a server that has stopped answering would not answer this either.
    client.end().catch(() => {});
  }
}

function firstOf(places: readonly Place[], ask: (place: Place) => Promise<void>): Promise<Place> {
  return new Promise((resolve, reject) => {
    const failures = new Map<Place, Error>();
    let asked = 0;
    let isDone = false;
    const next = () => {
      const place = places[asked];
      if (isDone || place === undefined) return;
      asked += 1;
      const timer = setTimeout(next, aloneMs);
      ask(place).then(
        () => {
          clearTimeout(timer);
          isDone = true;
          resolve(place);
        },
        (error: Error) => {
          clearTimeout(timer);
          failures.set(place, error);
          next();
          if (failures.size === places.length) reject(noneOf(failures));
        },
      );
    };
    next();
  });
}

/** Answers that no waiting changes, and that are dealt with by their code: no such user or database. */
const definite = /^(28|3D)/;

function noneOf(failures: ReadonlyMap<Place, Error>): Error {
  const each = [...failures].map(
    ([place, { message }]) => `${placeLabel(place)}: ${message || "no answer"}`,
  );
  const text = `no host takes changes (${each.join("; ")})`;
  const answered = [...failures.values()].find(
    (error) => error instanceof pg.DatabaseError && definite.test(error.code ?? ""),
  );
  return answered === undefined
    ? Object.assign(new Error(text), { code: noHost })
    : Object.assign(answered, { message: text });
}
