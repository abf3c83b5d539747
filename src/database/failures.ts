/**
 * What an error of the database means to who asked for a change: a code, whether anything was changed, and
 * words, which say so too. By SQLSTATE, or by its class, the first two characters.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import type { Applied, ErrorCode } from "../errors.ts";

export interface Failure {
  readonly code: Extract<
    ErrorCode,
    "DATABASE_UNAVAILABLE" | "ACCOUNT_LOCKED" | "INTERNAL" | "OUTCOME_UNKNOWN"
  >;
  readonly applied: Applied;
  readonly message: string;
}

/** What is known of a statement that had been sent. One that had not has changed nothing. */
interface Row {
  readonly code: "DATABASE_UNAVAILABLE" | "ACCOUNT_LOCKED" | "INTERNAL";
  readonly applied: Applied;
  /** What happened. Whether anything was changed is added. */
  readonly words: string;
  /** What to do. */
  readonly advice?: string;
}

/** "Not now": PostgreSQL gave up before the commit, and rolled back. */
function notNow(words: string, advice?: string): Row {
  return { code: "DATABASE_UNAVAILABLE", applied: "no", words, ...(advice && { advice }) };
}

/** Nobody has said that it was rolled back. */
function unclear(words: string): Row {
  return { code: "DATABASE_UNAVAILABLE", applied: "unknown", words };
}

const lost = "The database connection was lost before the answer came";
const resources = "The database lacks a resource that it needs";
const system = "The disk or the system of the database has failed";
const schemaGone = notNow(
  "The database does not have the schema of this balancectl (`balancectl migrate` brings it)",
);
const preparedElsewhere = notNow(
  "A prepared statement is not where it was made (set PgBouncer's max_prepared_statements, which 1.21 and " +
    "newer have, to 100, or use its session mode)",
);

export const failures: Readonly<Record<string, Row>> = {
  "08": unclear(lost),
  "25006": notNow("The database is read-only (a standby?)"),
  "25P03": notNow("The database ended a session that did nothing in its transaction"),
  "25P04": notNow("The transaction took longer than the database allows"),
  "26000": preparedElsewhere,
  "42P05": preparedElsewhere,
  "28": notNow("The database refused the user"),
  "28P01": notNow("The database refused the password"),
  "3D000": notNow(
    "The database does not exist (`balancectl migrate` creates it where the role may)",
  ),
  "3F000": schemaGone,
  "40": notNow("Another transaction was in the way again and again", "try again later"),
  // statement_completion_unknown: of all in its class the one that does not say "rolled back".
  "40003": unclear("The database does not know how the statement ended"),
  "40P01": notNow("The change met a deadlock again and again", "try again later"),
  "42501": notNow("The role lacks a right in the database (`GET /readyz` names it)"),
  "42P01": schemaGone,
  "42703": schemaGone,
  "42883": schemaGone,
  "53": notNow(resources),
  "53100": notNow("The disk of the database is full"),
  "53200": notNow("The database has no free memory"),
  "53300": notNow("The database has no free connection"),
  "53400": notNow("The database has reached a limit of its configuration"),
  "55": notNow("Something in the database is not in the state that the change needs"),
  // The database is well: who has the lock is to be looked for.
  "55P03": {
    ...notNow("An account is locked by another session", "try again later"),
    code: "ACCOUNT_LOCKED",
  },
  "57": notNow("The database was interrupted by its operator"),
  "57014": notNow("The database took too long and the statement was cancelled"),
  "57P01": notNow("The database ended the session: it is shutting down, or was told to"),
  // Told while all sessions are thrown away, also those that have just committed.
  "57P02": unclear("The database has crashed and is recovering"),
  "57P03": notNow("The database is starting up"),
  "57P05": notNow("The database ended a session that was idle"),
  "58": notNow(system),
  "58030": notNow("The database cannot read or write its files"),
};

/** PostgreSQL itself says that the statement failed, for a reason that is none of the above. */
const fault: Row = { code: "INTERNAL", applied: "no", words: "Internal error" };

/** What is said of an error of the server. */
export interface ServerError {
  readonly code?: string | undefined;
  readonly severity?: string | undefined;
  readonly routine?: string | undefined;
}

/** @param sent whether the statement had left for the server */
export function failureOf(error: ServerError, sent: boolean): Failure {
  const { code: state = "" } = error;
  const row = failures[state] ?? failures[state.slice(0, 2)] ?? fault;
  if (!sent) return asSaid({ ...row, applied: "no" });
  return asSaid(isFinal(error) ? row : { ...row, applied: "unknown" });
}

/** The connection broke, or the answer took too long: the server has said nothing. */
export function noAnswer(sent: boolean): Failure {
  return asSaid(sent ? unclear(lost) : notNow("The database cannot be reached"));
}

/** It asked for the password in a way that would give it away. */
export function notTrusted(): Failure {
  return asSaid(notNow("The database was not given the password that it asks for"));
}

/** The server has committed, and does not know whether its standby has. */
export function notReplicated(): Failure {
  return asSaid(
    unclear(
      "The wait for the standby was cancelled, and a failover may lose what it does not have",
    ),
  );
}

function asSaid({ code, applied, words, advice }: Row): Failure {
  if (applied === "unknown") {
    return { code: "OUTCOME_UNKNOWN", applied, message: `${words}; ${unknown}` };
  }
  return { code, applied, message: `${words}; nothing was changed${advice ? `, ${advice}` : ""}` };
}

const unknown =
  "it is not known whether the change was made: look before repeating it, or repeat it under the same " +
  "Idempotency-Key";

/**
 * Whether the error says how the statement ended. A pooler's, which names no routine of PostgreSQL's source,
 * may come when the statement has run (PgBouncer's "server conn crashed?"). A PANIC may strike in the middle
 * of a commit, whose record is then found by the recovery, or is not.
 */
function isFinal({ severity = "", routine }: ServerError): boolean {
  return routine !== undefined && !panics.has(severity);
}

/** PANIC in the languages of PostgreSQL: pg keeps the translated severity only. */
const panics = new Set([
  ...[
    "PANIC",
    "PANIK",
    "PANICO",
    "PÂNICO",
    "PANİK",
    "PANIKA",
    "ПАНИКА",
    "ПАНІКА",
    "პანიკა",
    "손상",
  ],
  "比致命错误还过分的错误",
]);
