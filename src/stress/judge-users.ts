/** The verdict on a run with several users: the tally of all of them, then the books of each. */
import {
  checkBooks,
  checkOutcomes,
  checkTally,
  type Expected,
  expectedOf,
  type Judgement,
  type RunEvidence,
  type UserEvidence,
  whole,
} from "./judge.ts";

export interface NamedUserEvidence extends UserEvidence {
  readonly id: number;
}

// Where a thousand users are wrong, a screen of them is enough to begin with.
const usersNamedMax = 20;

/**
 * "pass" only when nothing at all was found. A finding about a user begins with "User <id>: "; of
 * the users with findings the first 20 are named and the others counted.
 */
export function judgeUsers(run: RunEvidence, users: readonly NamedUserEvidence[]): Judgement {
  const expected = sumExpected(users);
  const findings = [...checkOutcomes(run, expected), ...checkUsers(run, users)];
  return { verdict: findings.length === 0 ? "pass" : "fail", expected, findings };
}

function sumExpected(users: readonly UserEvidence[]): Expected {
  let succeeded = 0;
  let insufficientFunds = 0;
  for (const user of users) {
    const expected = expectedOf(user);
    succeeded += expected.succeeded;
    insufficientFunds += expected.insufficientFunds;
  }
  return { succeeded, insufficientFunds };
}

function* checkUsers(run: RunEvidence, users: readonly NamedUserEvidence[]): Generator<string> {
  let wrong = 0;
  for (const user of users) {
    const findings = [...checkUserTally(run, user), ...checkBooks(user)];
    if (findings.length === 0) continue;
    wrong++;
    if (wrong > usersNamedMax) continue;
    for (const finding of findings) yield `User ${user.id}: ${finding}`;
  }
  if (wrong > usersNamedMax) {
    yield `${whole(wrong - usersNamedMax)} more users have findings of their own`;
  }
}

function* checkUserTally(run: RunEvidence, user: UserEvidence): Generator<string> {
  if (run.interrupted) return;
  const { succeeded, insufficientFunds, failed } = user.counts;
  // A run that could not send all of its requests is told so once, and not by every user.
  const requests = run.sent < run.requests ? succeeded + insufficientFunds + failed : user.requests;
  yield* checkTally(user.counts, expectedOf({ ...user, requests }));
}
