/**
 * Turns what PostgreSQL or its driver throws into a BalancectlError. Errors are told apart by
 * SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html) and constraint name.
 */
import pg from "pg";
import { BalancectlError } from "../errors.ts";

const schemaGone =
  "The database does not have the schema of this balancectl; `balancectl migrate` brings it";

/** SQLSTATEs that say "not now" about the server or the connection, not "no" about the statement. */
const unavailable: Readonly<Record<string, string>> = {
  "55P03": "An account is locked by another session; nothing was changed, try again later",
  "57014": "The database took too long and the statement was cancelled; nothing was changed",
  "57P01": "The database is shutting down",
  "57P02": "The database has crashed and is recovering",
  "57P03": "The database is starting up",
  "53300": "The database has no free connection",
  "28P01": "The database refused the password",
  "28000": "The database refused the user",
  "3D000": "The database does not exist; `balancectl migrate` creates it where the role may",
  "42P01": schemaGone,
  "42703": schemaGone,
  "42883": schemaGone,
  "25006": "The database is read-only (a standby?)",
};

/** The SQLSTATE of a server-reported error; undefined when the server said nothing. */
export function sqlState(error: unknown): string | undefined {
  const original = error instanceof Error && "original" in error ? error.original : error;
  return original instanceof pg.DatabaseError ? original.code : undefined;
}

/**
 * True when the server itself said that the statement failed over its data or its company (classes
 * 22, 23, 40): the transaction was rolled back for certain, and another attempt may end otherwise.
 */
export function failedOnData(error: unknown): boolean {
  const state = sqlState(error) ?? sqlState(error instanceof Error ? error.cause : undefined);
  return state !== undefined && state !== completionUnknown && /^(22|23|40)/.test(state);
}

/** What is answered for an account that another session has locked. */
export function accountLocked(): BalancectlError {
  return new BalancectlError("DATABASE_UNAVAILABLE", unavailable["55P03"]);
}

/** True when a lock was not to be had in time: nothing was changed. */
export function lockWaitRanOut(error: unknown): boolean {
  const state = sqlState(error) ?? sqlState(error instanceof Error ? error.cause : undefined);
  return state === "55P03";
}

/**
 * @param sent whether a write had left for the server: if it gave no answer, the outcome is unknown
 * @returns DATABASE_UNAVAILABLE when the server cannot be reached or says "not now", OUTCOME_UNKNOWN, or
 * INTERNAL
 */
export function translateError(error: unknown, sent = false): BalancectlError {
  if (error instanceof BalancectlError) return error;
  const state = sqlState(error);
  // A socket error, the driver's "terminated" and "timeout", or what the server itself does not know.
  if (state === undefined || state.startsWith("08") || state === completionUnknown) {
    if (sent) return new BalancectlError("OUTCOME_UNKNOWN", outcomeUnknown, { cause: error });
    if (error instanceof TypeError || error instanceof RangeError) {
      return new BalancectlError("INTERNAL", undefined, { cause: error, applied: "no" });
    }
    return new BalancectlError("DATABASE_UNAVAILABLE", unreachable, { cause: error });
  }
  const message = unavailable[state];
  if (message !== undefined) {
    return new BalancectlError("DATABASE_UNAVAILABLE", message, { cause: error });
  }
  // The server said that it failed: it was rolled back.
  return new BalancectlError("INTERNAL", undefined, { cause: error, applied: "no" });
}

/** Of a read that had to write first: nobody asked for a change, and it may be read again. */
export function asReadFailure(error: unknown): unknown {
  if (!(error instanceof BalancectlError) || error.code !== "OUTCOME_UNKNOWN") return error;
  return new BalancectlError("DATABASE_UNAVAILABLE", unreachable, { cause: error.cause });
}

const unreachable = "The database cannot be reached; nothing was changed";

/** statement_completion_unknown: of all in class 40 the one that does not say "rolled back". */
const completionUnknown = "40003";

const outcomeUnknown =
  "The database connection was lost before the answer came: the change may or may not have been " +
  "made. Look before repeating it, or repeat it under the same Idempotency-Key";
