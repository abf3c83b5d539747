/** Whether a database may be there in a moment: it is being started, or its name or network is. */
import { BalancectlError } from "../errors.ts";
import { noHost } from "./hosts.ts";
import { connect } from "./migration-connection.ts";
import { sqlState } from "./translate-error.ts";

/** Class 57 of SQLSTATE: it is starting, recovering, or going down to be started again. */
const passingStates = ["57P01", "57P02", "57P03"];

/** Of the system: nobody listens, the name is not known, there is no way, or who listens has hung up. */
const passingCodes = [
  ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "ETIMEDOUT"],
  noHost,
  ...["ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"],
];

/**
 * What the driver says, without a code, of a connection that is closed or silent before it is a session:
 * before a container's PostgreSQL is there, Docker's proxy takes connections and closes them.
 */
const passingTexts = ["Connection terminated unexpectedly", "timeout expired"];

/** @param error of a connection to it; a refused password or user, say, no waiting will change */
export function isNotThereYet(error: unknown): boolean {
  if (!(error instanceof BalancectlError) || error.code !== "DATABASE_UNAVAILABLE") return false;
  const { cause } = error;
  const state = sqlState(cause);
  if (state !== undefined) return passingStates.includes(state);
  const { code, message } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === undefined ? passingTexts.includes(message) : passingCodes.includes(code);
}

/** Why it is not, for people. */
export function whyNotThere({ cause, message }: BalancectlError): string {
  if (!(cause instanceof Error)) return message;
  // An error of several addresses has a code and no words.
  return cause.message || ((cause as NodeJS.ErrnoException).code ?? message);
}

/** Connects once, to the server: the database may have to be made. @throws what connecting throws */
export async function knock(url: string): Promise<void> {
  try {
    await (await connect(url)).end();
  } catch (error) {
    const isMissing = error instanceof BalancectlError && sqlState(error.cause) === "3D000";
    if (!isMissing) throw error;
  }
}
