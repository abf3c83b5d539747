/** One code, one status; one code, one exit code. A client may rely on either. */
import { expect, test } from "vitest";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import {
  type AnswerCode,
  answerMessages,
  type ErrorCode,
  errorMessages,
  processMessages,
} from "../../src/errors.ts";
import { statusOf } from "../../src/http/answer.ts";

const answers: Record<AnswerCode, [status: number, exitCode: number]> = {
  INVALID_REQUEST: [400, 2],
  INVALID_JSON: [400, 2],
  UNAUTHORIZED: [401, 1],
  FORBIDDEN: [403, 1],
  RATE_LIMITED: [429, 1],
  FORBIDDEN_HOST: [421, 1],
  FORBIDDEN_ORIGIN: [403, 1],
  USER_NOT_FOUND: [404, 3],
  ROUTE_NOT_FOUND: [404, 1],
  OPERATION_NOT_FOUND: [404, 3],
  TRANSFER_NOT_FOUND: [404, 3],
  HOLD_NOT_FOUND: [404, 3],
  METHOD_NOT_ALLOWED: [405, 1],
  REQUEST_TIMEOUT: [408, 1],
  USER_EXISTS: [409, 3],
  HOLD_CLOSED: [409, 3],
  PRECONDITION_FAILED: [412, 3],
  PAYLOAD_TOO_LARGE: [413, 1],
  UNSUPPORTED_MEDIA_TYPE: [415, 1],
  INSUFFICIENT_FUNDS: [422, 3],
  BALANCE_LIMIT_EXCEEDED: [422, 3],
  CAPTURE_EXCEEDS_HOLD: [422, 3],
  HOLD_LIMIT_EXCEEDED: [422, 3],
  IDEMPOTENCY_KEY_REUSED: [422, 3],
  OUTCOME_UNKNOWN: [424, 1],
  IDEMPOTENCY_KEY_REQUIRED: [428, 1],
  HEADERS_TOO_LARGE: [431, 1],
  INTERNAL: [500, 1],
  OVERLOADED: [503, 1],
  ACCOUNT_LOCKED: [503, 1],
  DATABASE_UNAVAILABLE: [503, 1],
};

/** Of starting and of the command line: no client ever gets them. */
const local: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 2,
  EMBEDDED_UNAVAILABLE: 1,
  SCHEMA_OUTDATED: 1,
  SCHEMA_TOO_NEW: 1,
  SCHEMA_FOREIGN: 1,
  SCHEMA_ALTERED: 1,
  MIGRATION_FAILED: 1,
  SERVER_FAILED: 1,
  SERVER_UNREACHABLE: 1,
  INTERRUPTED: 1,
};

const codes = Object.keys(errorMessages) as ErrorCode[];

test("every code is in exactly one of the two tables", () => {
  expect(Object.keys(answers).sort()).toEqual(Object.keys(answerMessages).sort());
  expect(Object.keys(local).sort()).toEqual(Object.keys(processMessages).sort());
  expect(codes.length).toBe(Object.keys(answers).length + Object.keys(local).length);
});

test.each(Object.entries(answers))("%s is %j", (code, [status, exitCode]) => {
  expect(statusOf[code as AnswerCode]).toBe(status);
  expect(exitCodeOf[code as ErrorCode]).toBe(exitCode);
});

test.each(Object.entries(local))("%s ends the program with %i", (code, exit) => {
  expect(exitCodeOf[code as ErrorCode]).toBe(exit);
});

test("a status below 500 is never given to what is nobody's fault but ours", () => {
  const faults = Object.entries(statusOf).filter(([, status]) => status >= 500);
  expect(faults.map(([code]) => code).sort()).toEqual([
    "ACCOUNT_LOCKED",
    "DATABASE_UNAVAILABLE",
    "INTERNAL",
    "OVERLOADED",
  ]);
});

test("what clients repeat by habit has changed nothing for sure", () => {
  const habits = [408, 413, 425, 429];
  const repeated = Object.entries(statusOf).filter(
    ([, status]) => status >= 500 || habits.includes(status),
  );
  expect(repeated.map(([code]) => code)).not.toContain("OUTCOME_UNKNOWN");
});

test("every code has a text of its own, without a full stop", () => {
  expect(new Set(Object.values(errorMessages)).size).toBe(codes.length);
  for (const text of Object.values(errorMessages)) expect(text).toMatch(/^[A-Z].*[^.]$/);
});
