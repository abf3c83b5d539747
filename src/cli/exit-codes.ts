import type { ErrorCode } from "../errors.ts";

/** Why a command is stopped: by a signal, with the exit code that shells give to whoever dies of it. */
export class StopSignal extends Error {
  readonly exitCode: number;

  constructor(name: string, number: number) {
    super(`stopped by ${name}`);
    this.exitCode = 128 + number;
  }
}

/** 0 done, 1 failed, 2 asked for in a way that cannot be, 3 refused by the ledger. */
export const exitCodeOf: Readonly<Record<ErrorCode, 1 | 2 | 3>> = {
  INVALID_REQUEST: 2,
  INVALID_JSON: 2,
  CONFIG_INVALID: 2,
  USER_NOT_FOUND: 3,
  USER_EXISTS: 3,
  INSUFFICIENT_FUNDS: 3,
  BALANCE_LIMIT_EXCEEDED: 3,
  PRECONDITION_FAILED: 3,
  IDEMPOTENCY_KEY_REUSED: 3,
  OPERATION_NOT_FOUND: 3,
  TRANSFER_NOT_FOUND: 3,
  HOLD_NOT_FOUND: 3,
  HOLD_CLOSED: 3,
  CAPTURE_EXCEEDS_HOLD: 3,
  HOLD_LIMIT_EXCEEDED: 3,
  UNAUTHORIZED: 1,
  FORBIDDEN: 1,
  RATE_LIMITED: 1,
  FORBIDDEN_HOST: 1,
  FORBIDDEN_ORIGIN: 1,
  ROUTE_NOT_FOUND: 1,
  METHOD_NOT_ALLOWED: 1,
  REQUEST_TIMEOUT: 1,
  PAYLOAD_TOO_LARGE: 1,
  UNSUPPORTED_MEDIA_TYPE: 1,
  HEADERS_TOO_LARGE: 1,
  IDEMPOTENCY_KEY_REQUIRED: 1,
  OVERLOADED: 1,
  ACCOUNT_LOCKED: 1,
  DATABASE_UNAVAILABLE: 1,
  OUTCOME_UNKNOWN: 1,
  INTERNAL: 1,
  EMBEDDED_UNAVAILABLE: 1,
  SCHEMA_OUTDATED: 1,
  SCHEMA_TOO_NEW: 1,
  SCHEMA_FOREIGN: 1,
  SCHEMA_ALTERED: 1,
  MIGRATION_FAILED: 1,
  SERVER_FAILED: 1,
  SERVER_UNREACHABLE: 1,
  // Of a signal it is the signal's own.
  INTERRUPTED: 1,
};
