import { describe, expect, it } from "vitest";
import type { JournalReading } from "../../src/stress/journal.ts";
import { type Evidence, judge } from "../../src/stress/judge.ts";
import type { Counts } from "../../src/stress/tally.ts";

const counts: Counts = {
  succeeded: 5_000,
  insufficientFunds: 5_000,
  failed: 0,
  failures: [],
  answered: { repeated: 0, impossible: 0 },
};

const journal: JournalReading = {
  entries: 5_001,
  sum: 0,
  gapFree: true,
  chained: true,
  firstBreak: null,
  otherAmounts: 0,
  newestBalance: 0,
  truncated: false,
};

/** The headline run, as it must be. */
const evidence: Evidence = {
  requests: 10_000,
  sent: 10_000,
  concurrency: 10_000,
  sockets: 10_000,
  amount: 2,
  interrupted: false,
  counts,
  balanceBefore: 10_000,
  balanceAfter: 0,
  created: true,
  versionBefore: 1,
  journal,
  readProblem: null,
};

describe("judge", () => {
  it("passes the headline run", () => {
    expect(judge(evidence)).toEqual({
      verdict: "pass",
      expected: { succeeded: 5_000, insufficientFunds: 5_000 },
      findings: [],
    });
  });

  it.each<[string, Partial<Evidence>]>([
    [
      "a given user, of whose journal only the new part counts",
      { created: false, versionBefore: 900, journal: { ...journal, entries: 5_000, sum: -10_000 } },
    ],
    [
      "a user created with nothing and without an opening entry",
      {
        balanceBefore: 0,
        versionBefore: 0,
        counts: { ...counts, succeeded: 0, insufficientFunds: 10_000 },
        journal: { ...journal, entries: 0 },
      },
    ],
    [
      "a user created with nothing and with an opening entry",
      {
        balanceBefore: 0,
        versionBefore: 1,
        counts: { ...counts, succeeded: 0, insufficientFunds: 10_000 },
        journal: { ...journal, entries: 1 },
      },
    ],
    [
      "an amount that does not divide the balance",
      {
        amount: 3,
        balanceAfter: 1,
        counts: { ...counts, succeeded: 3_333, insufficientFunds: 6_667 },
        journal: { ...journal, entries: 3_334, sum: 1, newestBalance: 1 },
      },
    ],
    [
      "more money than requests",
      {
        balanceBefore: 30_000,
        balanceAfter: 10_000,
        counts: { ...counts, succeeded: 10_000, insufficientFunds: 0 },
        journal: { ...journal, entries: 10_001, sum: 10_000, newestBalance: 10_000 },
      },
    ],
  ])("passes %s", (_name, part) => {
    expect(judge({ ...evidence, ...part })).toMatchObject({ verdict: "pass", findings: [] });
  });

  it.each<[string, Partial<Evidence>, string[]]>([
    [
      "one success too few",
      { counts: { ...counts, succeeded: 4_999, insufficientFunds: 5_001 } },
      [
        "Successes: expected 5,000, seen 4,999",
        "INSUFFICIENT_FUNDS: expected 5,000, seen 5,001",
        "Balance after: expected 2, seen 0 (10,000 - 4,999 x 2)",
        "Journal entries: expected 5,000, seen 5,001",
      ],
    ],
    [
      "an answer of another kind",
      {
        counts: {
          ...counts,
          insufficientFunds: 4_998,
          failed: 2,
          failures: [{ kind: "answer", cause: "503 OVERLOADED", count: 2 }],
        },
      },
      [
        "INSUFFICIENT_FUNDS: expected 5,000, seen 4,998",
        "Any other answer: expected 0, seen 2 (503 OVERLOADED: 2)",
      ],
    ],
    [
      "requests without an answer, one of them applied",
      {
        counts: {
          ...counts,
          succeeded: 4_999,
          insufficientFunds: 4_999,
          failed: 2,
          failures: [
            { kind: "noAnswer", cause: "ECONNRESET", count: 1 },
            { kind: "noAnswer", cause: "timeout", count: 1 },
          ],
        },
      },
      [
        "Successes: expected 5,000, seen 4,999",
        "INSUFFICIENT_FUNDS: expected 5,000, seen 4,999",
        "No answer, so the outcome is unknown: expected 0, seen 2 (ECONNRESET: 1, timeout: 1)",
        "Balance after: expected 2, seen 0 (10,000 - 4,999 x 2); " +
          "as if 1 of the 2 failed requests had been applied",
        "Journal entries: expected 5,000, seen 5,001",
      ],
    ],
    [
      "a failure without a cause",
      { counts: { ...counts, insufficientFunds: 4_999, failed: 1 } },
      [
        "INSUFFICIENT_FUNDS: expected 5,000, seen 4,999",
        "Failed requests with a cause: expected 1, seen 0",
      ],
    ],
    [
      "requests that vanished in the run itself",
      { sent: 9_999 },
      [
        "Requests sent: expected 10,000, seen 9,999",
        "Requests with an outcome: expected 9,999, seen 10,000",
      ],
    ],
    [
      "fewer sockets than promised",
      { sockets: 9_990 },
      ["Sockets open at once: expected 10,000, seen 9,990"],
    ],
    [
      "a balance answered twice",
      { counts: { ...counts, answered: { repeated: 3, impossible: 0 } } },
      [
        "Balances in successful answers: expected each once, " +
          "seen 3 that another success had answered already",
      ],
    ],
    [
      "a balance that cannot be",
      { counts: { ...counts, answered: { repeated: 0, impossible: 1 } } },
      [
        "Balances in successful answers: expected 10,000 less a multiple of 2, " +
          "seen 1 that no withdrawal can leave",
      ],
    ],
    [
      "another balance afterwards",
      { balanceAfter: 2 },
      [
        "Balance after: expected 0, seen 2 (10,000 - 5,000 x 2)",
        "Sum of the journal's amounts: expected 2, seen 0",
        "Balance of the newest journal entry: expected 2, seen 0",
      ],
    ],
    [
      "a journal entry too few",
      { journal: { ...journal, entries: 5_000 } },
      ["Journal entries: expected 5,001, seen 5,000"],
    ],
    [
      "a gap",
      { journal: { ...journal, gapFree: false, firstBreak: "version 7 follows version 5" } },
      [
        "Journal: expected consecutive versions, each balance the one before plus its amount; " +
          "seen version 7 follows version 5",
      ],
    ],
    [
      "a broken chain",
      { journal: { ...journal, chained: false, firstBreak: "version 7 says balance 1" } },
      [
        "Journal: expected consecutive versions, each balance the one before plus its amount; " +
          "seen version 7 says balance 1",
      ],
    ],
    [
      "entries of another amount",
      { journal: { ...journal, otherAmounts: 2 } },
      ["Journal: expected amounts of -2 only, seen 2 entries with another"],
    ],
    [
      "a sum that is not the balance",
      { journal: { ...journal, sum: 4 } },
      ["Sum of the journal's amounts: expected 0, seen 4"],
    ],
    [
      "a newest entry that is not the balance",
      { journal: { ...journal, newestBalance: 2 } },
      ["Balance of the newest journal entry: expected 0, seen 2"],
    ],
    [
      "a journal without end",
      { journal: { ...journal, truncated: true } },
      ["Journal: more than 5,001 entries, the rest was not read"],
    ],
    [
      "nothing read back",
      { balanceAfter: null, journal: null, readProblem: "no answer (ECONNREFUSED)" },
      ["Not read back: no answer (ECONNREFUSED)"],
    ],
    [
      "nothing read back and nobody says why",
      { balanceAfter: null, journal: null },
      ["Not read back: the balance after the run", "Not read back: the journal"],
    ],
    [
      "an interruption, however well it looks",
      { interrupted: true },
      ["Interrupted: 10,000 of 10,000 requests were sent"],
    ],
  ])("fails %s", (_name, part, findings) => {
    expect(judge({ ...evidence, ...part })).toEqual({
      verdict: "fail",
      expected: { succeeded: 5_000, insufficientFunds: 5_000 },
      findings,
    });
  });
});
