/**
 * Turns what PostgreSQL or its driver throws into a BalancectlError. Errors are told apart by
 * SQLSTATE and constraint name; failures.ts has what each means.
 */
import pg from "pg";
import { ConnectionAcquireTimeoutError } from "sequelize";
import { BalancectlError } from "../errors.ts";
import { type Failure, failureOf, noAnswer, notReplicated, notTrusted } from "./failures.ts";
import { refusedAuth } from "./quiet-client.ts";

const tooManyReads = "Too many reads wait for the database; try again later";

/** The SQLSTATE of a server-reported error; undefined when the server said nothing. */
export function sqlState(error: unknown): string | undefined {
  return serverError(error)?.code;
}

function serverError(error: unknown): pg.DatabaseError | undefined {
  const original = error instanceof Error && "original" in error ? error.original : error;
  return original instanceof pg.DatabaseError ? original : undefined;
}

/**
 * True when the server itself said that the statement failed over its data or its company (classes
 * 22, 23, 40): the transaction was rolled back for certain, and another attempt may end otherwise.
 */
export function failedOnData(error: unknown): boolean {
  return /^(22|23|40)/.test(finalState(error));
}

/** True when it was rolled back for the company it met (class 40): another attempt may well succeed. */
export function metConflict(error: unknown): boolean {
  return finalState(error).startsWith("40");
}

/** True when the statement was cancelled: it took too long, or somebody wanted it to end. */
export function wasCancelled(error: unknown): boolean {
  return finalState(error) === "57014";
}

/** What is answered for an account that another session has locked. */
export function accountLocked(): BalancectlError {
  return thrown(failureOf({ code: "55P03" }, false));
}

/** True when a lock was not to be had in time: nothing was changed. */
export function lockWaitRanOut(error: unknown): boolean {
  return finalState(error) === "55P03";
}

/** The SQLSTATE of an error after which it is certain that nothing was changed, or nothing. */
function finalState(error: unknown): string {
  if (!(error instanceof BalancectlError)) return sqlState(error) ?? "";
  return error.applied === "no" ? (sqlState(error.cause) ?? "") : "";
}

/**
 * @param sent whether a write had left for the server: if it gave no answer, the outcome is unknown
 * @returns DATABASE_UNAVAILABLE when the server cannot be reached or says "not now", ACCOUNT_LOCKED,
 * OUTCOME_UNKNOWN, or INTERNAL. `applied` is "unknown" where it was sent and nobody knows.
 */
export function translateError(error: unknown, sent = false): BalancectlError {
  if (error instanceof BalancectlError) return error;
  if (error instanceof ConnectionAcquireTimeoutError)
    return new BalancectlError("OVERLOADED", tooManyReads);
  const said = serverError(error);
  if (said !== undefined) return thrown(failureOf(said, sent), error);
  if (isRefusedAuth(error)) return thrown(notTrusted(), error);
  // A fault of ours, before it was sent; otherwise a socket error, the driver's "terminated" or "timeout".
  if (!sent && (error instanceof TypeError || error instanceof RangeError)) {
    return new BalancectlError("INTERNAL", undefined, { cause: error, applied: "no" });
  }
  return thrown(noAnswer(sent), error);
}

/** Sequelize wraps it. */
function isRefusedAuth(error: unknown): boolean {
  const original = error instanceof Error && "original" in error ? error.original : error;
  return (original as { code?: unknown } | undefined)?.code === refusedAuth;
}

/** Of a change that was committed without waiting for the standby that it should have waited for. */
export function notKnownToLast(): BalancectlError {
  return thrown(notReplicated());
}

/** Of a read that had to write first: nobody asked for a change, and it may be read again. */
export function asReadFailure(error: unknown): unknown {
  if (!(error instanceof BalancectlError) || error.code !== "OUTCOME_UNKNOWN") return error;
  return thrown(noAnswer(false), error.cause);
}

function thrown({ code, message, applied }: Failure, cause?: unknown): BalancectlError {
  return new BalancectlError(code, message, { applied, ...(cause !== undefined && { cause }) });
}
