import { describe, expect, it } from "vitest";
import type { RunEvidence } from "../../src/stress/judge.ts";
import { judgeUsers, type NamedUserEvidence } from "../../src/stress/judge-users.ts";

const answered = { repeated: 0, impossible: 0 };

/** A user who had 100 and gets requests to withdraw 2, as everything must be. */
function user(id: number, requests: number, part: Partial<NamedUserEvidence> = {}) {
  const succeeded = Math.min(requests, 50);
  const counts = { succeeded, insufficientFunds: requests - succeeded, failed: 0, answered };
  const balanceAfter = 100 - 2 * succeeded;
  const evidence: NamedUserEvidence = {
    id,
    requests,
    amount: 2,
    counts,
    balanceBefore: 100,
    balanceAfter,
    created: true,
    versionBefore: 1,
    journal: {
      entries: 1 + succeeded,
      sum: balanceAfter,
      gapFree: true,
      chained: true,
      firstBreak: null,
      otherAmounts: 0,
      newestBalance: balanceAfter,
      truncated: false,
    },
    readProblem: null,
  };
  return { ...evidence, ...part };
}

const run: RunEvidence = {
  requests: 100,
  sent: 100,
  concurrency: 10,
  sockets: 10,
  interrupted: false,
  counts: { succeeded: 90, insufficientFunds: 10, failed: 0, failures: [], answered },
};
const users = [user(11, 60), user(12, 40), user(13, 0)];
const expected = { succeeded: 90, insufficientFunds: 10 };
const countsOf = (succeeded: number, insufficientFunds: number, failed = 0) => ({
  succeeded,
  insufficientFunds,
  failed,
  answered,
});

describe("judgeUsers", () => {
  it("passes where each user's books agree, and adds up what was expected", () => {
    expect(judgeUsers(run, users)).toEqual({ verdict: "pass", expected, findings: [] });
  });

  it.each<[string, Partial<RunEvidence>, NamedUserEvidence[], string[]]>([
    [
      "a success of one user that should have been another's, though the sums agree",
      {},
      [user(11, 60, { counts: countsOf(51, 9) }), user(12, 40, { counts: countsOf(39, 1) })],
      [
        "User 11: Successes: expected 50, seen 51",
        "User 11: INSUFFICIENT_FUNDS: expected 10, seen 9",
        "User 11: Balance after: expected -2, seen 0 (100 - 51 x 2)",
        "User 11: Journal entries: expected 52, seen 51",
        "User 12: Successes: expected 40, seen 39",
        "User 12: INSUFFICIENT_FUNDS: expected 0, seen 1",
        "User 12: Balance after: expected 22, seen 20 (100 - 39 x 2); as if 1 of the 0 failed",
        "User 12: Journal entries: expected 40, seen 41",
      ].filter((finding) => !finding.includes("as if 1 of the 0")),
    ],
    [
      "a user who was debited without a request",
      {},
      [...users.slice(0, 2), user(13, 0, { balanceAfter: 98 })],
      [
        "User 13: Balance after: expected 100, seen 98 (100 - 0 x 2)",
        "User 13: Sum of the journal's amounts: expected 98, seen 100",
        "User 13: Balance of the newest journal entry: expected 98, seen 100",
      ],
    ],
    [
      "a user who could not be read back",
      {},
      [...users.slice(0, 2), user(13, 0, { balanceAfter: null, journal: null, readProblem: "no" })],
      ["User 13: Not read back: no"],
    ],
    [
      "a balance answered twice",
      {},
      [
        user(11, 60, {
          counts: { ...countsOf(50, 10), answered: { repeated: 1, impossible: 0 } },
        }),
        user(12, 40),
      ],
      [
        "User 11: Balances in successful answers: expected each once, " +
          "seen 1 that another success had answered already",
      ],
    ],
    [
      "fewer sockets than promised, which is nobody's fault in particular",
      { sockets: 9 },
      users,
      ["Sockets open at once: expected 10, seen 9"],
    ],
  ])("fails %s", (_name, part, someUsers, findings) => {
    const judgement = judgeUsers({ ...run, ...part }, someUsers);
    expect(judgement.verdict).toBe("fail");
    expect(judgement.expected).toEqual(expected);
    for (const finding of findings) expect(judgement.findings).toContain(finding);
  });

  it("tells of requests without an outcome once, and of their effect by user", () => {
    const failures = [{ kind: "noAnswer", cause: "timeout", count: 1 }] as const;
    const counts = { ...countsOf(89, 10, 1), failures };
    const judgement = judgeUsers({ ...run, counts }, [
      user(11, 60),
      user(12, 40, { counts: countsOf(39, 0, 1) }),
    ]);
    expect(judgement.findings).toEqual([
      "Successes: expected 90, seen 89",
      "No answer, so the outcome is unknown: expected 0, seen 1 (timeout: 1)",
      "User 12: Successes: expected 40, seen 39",
      "User 12: Balance after: expected 22, seen 20 (100 - 39 x 2); " +
        "as if 1 of the 1 failed requests had been applied",
      "User 12: Journal entries: expected 40, seen 41",
    ]);
  });

  it("expects of each user what was sent to it where not all could be sent", () => {
    const counts = { ...countsOf(80, 10), failures: [] };
    const sent30 = { ...user(12, 30), requests: 40 };
    const judgement = judgeUsers({ ...run, sent: 90, counts }, [user(11, 60), sent30]);
    expect(judgement.findings).toEqual([
      "Requests sent: expected 100, seen 90",
      "Successes: expected 90, seen 80",
    ]);
  });

  it("looks only at the books where it was interrupted", () => {
    const counts = { ...countsOf(80, 10), failures: [] };
    const sent30 = { ...user(12, 30), requests: 40 };
    const interrupted = { ...run, sent: 90, counts, interrupted: true };
    expect(judgeUsers(interrupted, [user(11, 60), sent30]).findings).toEqual([
      "Interrupted: 90 of 100 requests were sent",
    ]);
    const wrong = { ...sent30, balanceAfter: 38 };
    expect(judgeUsers(interrupted, [user(11, 60), wrong]).findings[1]).toBe(
      "User 12: Balance after: expected 40, seen 38 (100 - 30 x 2)",
    );
  });

  it("names the first twenty users that are wrong, and counts the others", () => {
    const wrong = Array.from({ length: 25 }, (_, index) =>
      user(index + 1, 4, { readProblem: "no answer", balanceAfter: null, journal: null }),
    );
    const counts = { ...countsOf(100, 0), failures: [] };
    const { findings } = judgeUsers({ ...run, counts }, wrong);
    expect(findings).toHaveLength(21);
    expect(findings[19]).toBe("User 20: Not read back: no answer");
    expect(findings[20]).toBe("5 more users have findings of their own");
  });
});
