/** What the errors of the database mean: each says whether anything was changed, in one of two ways. */
import pg from "pg";
import { expect, test } from "vitest";
import { failureOf, failures, noAnswer, notReplicated } from "../../src/database/failures.ts";
import { translateError } from "../../src/database/translate-error.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";

const nothing = /^[A-Z][^;]*; nothing was changed(, [^;]+)?$/;
const unknown =
  /^[A-Z][^;]*; it is not known whether the change was made: look before repeating it, or repeat it under the same Idempotency-Key$/;

const byPostgres = { routine: "ProcessInterrupts", severity: "FATAL" };

test.each(Object.keys(failures))("%s says what became of the change", (state) => {
  // A class stands for those of it that have no line of their own.
  const code = state.padEnd(5, "X");
  const sent = failureOf({ ...byPostgres, code }, true);
  expect(sent.message).toMatch(sent.applied === "no" ? nothing : unknown);
  expect(sent.code === "OUTCOME_UNKNOWN").toBe(sent.applied === "unknown");
  expect(failureOf({ ...byPostgres, code }, false)).toMatchObject({
    ...{ code: state === "55P03" ? "ACCOUNT_LOCKED" : "DATABASE_UNAVAILABLE", applied: "no" },
    message: expect.stringMatching(nothing),
  });
});

test("what the server does not know, or never said, is unknown when it was sent", () => {
  const unclear = Object.keys(failures).filter(
    (code) => failureOf({ ...byPostgres, code }, true).applied === "unknown",
  );
  expect(unclear.sort()).toEqual(["08", "40003", "57P02"]);
  expect(noAnswer(true).message).toMatch(unknown);
  expect(noAnswer(false).message).toMatch(nothing);
  expect(notReplicated().message).toMatch(unknown);
});

test.each(["57P01", "08P01", "53300", "XX000"])(
  "a pooler's %s may be about a change that was made",
  (code) => {
    // As PgBouncer sends it: no file, no line, no routine.
    const said = failureOf({ severity: "FATAL", code }, true);
    expect([said.code, said.applied]).toEqual(["OUTCOME_UNKNOWN", "unknown"]);
    expect(said.message).toMatch(unknown);
    expect(failureOf({ severity: "FATAL", code }, false).applied).toBe("no");
  },
);

test.each(["PANIC", "PANIK", "PANICO", "ПАНИКА"])(
  "a %s may have struck in the middle of a commit",
  (severity) => {
    const panic = { severity, code: "53100", routine: "XLogFileInitInternal" };
    expect(failureOf(panic, true)).toMatchObject({ code: "OUTCOME_UNKNOWN", applied: "unknown" });
  },
);

test("two say what is missing: the prepared statements of PgBouncer, and rights", () => {
  for (const code of ["26000", "42P05"]) {
    const { message } = failureOf({ ...byPostgres, code }, true);
    expect(message).toContain("PgBouncer");
    expect(message).toContain("max_prepared_statements");
  }
  expect(failureOf({ ...byPostgres, code: "42501" }, true).message).toContain("right");
});

const databaseUrl = await createTestDatabase();

async function failureAt(sql: string): Promise<unknown> {
  return await psql(databaseUrl, sql).then(
    () => null,
    (error) => error,
  );
}

test("PostgreSQL names the routine of each of its errors, also of the one that ends the session", async () => {
  const statements = [
    "SELECT 1 / 0",
    "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "EXECUTE nobody_made_it",
    "BEGIN; SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)",
    "SELECT FROM nowhere",
  ];
  const failed = await Promise.all(statements.map(failureAt));
  expect(failed.map((error) => (error as pg.DatabaseError).code)).toEqual([
    ...["22012", "53100", "57P01", "26000", "57014", "42P01"],
  ]);
  for (const error of failed) {
    expect(error).toBeInstanceOf(pg.DatabaseError);
    expect(translateError(error, true).applied).toBe("no");
  }
});
