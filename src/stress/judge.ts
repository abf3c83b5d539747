/**
 * The verdict, computed from what was seen and from nothing else. Pure: every way a server can be
 * wrong, or lie, is a row of a table in the tests.
 */
import type { JournalReading } from "./journal.ts";
import type { Counts, UserCounts } from "./tally.ts";

/** What a run saw of all its requests together. */
export interface RunEvidence {
  readonly requests: number;
  readonly sent: number;
  readonly concurrency: number;
  readonly sockets: number;
  readonly interrupted: boolean;
  readonly counts: Counts;
}

/** What it saw of a user. `null` where it could not be read back, and `readProblem` says why. */
export interface UserEvidence {
  /** How many requests were meant for this user. */
  readonly requests: number;
  /** What each withdrawal takes, positive. */
  readonly amount: number;
  readonly counts: UserCounts;
  readonly balanceBefore: number;
  readonly balanceAfter: number | null;
  /** The user was created for this run: its journal is counted from the opening entry on. */
  readonly created: boolean;
  /** Version of the newest journal entry before the first withdrawal, 0 for none. */
  readonly versionBefore: number;
  readonly journal: JournalReading | null;
  readonly readProblem: string | null;
}

/** All that a run with one user saw. */
export interface Evidence extends RunEvidence, UserEvidence {
  readonly counts: Counts;
}

export interface Expected {
  readonly succeeded: number;
  readonly insufficientFunds: number;
}

export interface Judgement {
  readonly verdict: "pass" | "fail";
  readonly expected: Expected;
  /** One sentence, expected against seen, for every check that did not hold. */
  readonly findings: readonly string[];
}

/** A run with one user. "pass" only when nothing at all was found. */
export function judge(evidence: Evidence): Judgement {
  const expected = expectedOf(evidence);
  const findings = [...checkOutcomes(evidence, expected), ...checkBooks(evidence)];
  return { verdict: findings.length === 0 ? "pass" : "fail", expected, findings };
}

/** As many withdrawals as the balance covers succeed, and each of the others is refused. */
export function expectedOf(
  user: Pick<UserEvidence, "requests" | "amount" | "balanceBefore">,
): Expected {
  const { requests, amount, balanceBefore } = user;
  const succeeded = Math.min(requests, Math.floor(balanceBefore / amount));
  return { succeeded, insufficientFunds: requests - succeeded };
}

/** What became of the requests, without a look at anybody's books. */
export function* checkOutcomes(evidence: RunEvidence, expected: Expected): Generator<string> {
  const { requests, sent, concurrency, sockets, counts, interrupted } = evidence;
  if (interrupted) {
    yield `Interrupted: ${whole(sent)} of ${whole(requests)} requests were sent`;
  } else {
    if (sent !== requests) yield compare("Requests sent", requests, sent);
    if (sockets < concurrency) yield compare("Sockets open at once", concurrency, sockets);
    yield* checkTally(counts, expected);
  }
  const known = counts.succeeded + counts.insufficientFunds + counts.failed;
  if (known !== sent) yield compare("Requests with an outcome", sent, known);
  yield* checkFailures(counts);
}

export function* checkTally(counts: UserCounts, expected: Expected): Generator<string> {
  if (counts.succeeded !== expected.succeeded) {
    yield compare("Successes", expected.succeeded, counts.succeeded);
  }
  if (counts.insufficientFunds !== expected.insufficientFunds) {
    yield compare("INSUFFICIENT_FUNDS", expected.insufficientFunds, counts.insufficientFunds);
  }
}

/** One user's answers, balance and journal: whether they agree with each other. */
export function* checkBooks(user: UserEvidence): Generator<string> {
  yield* checkAnswers(user);
  yield* checkBalance(user);
  yield* checkJournal(user);
}

function* checkFailures({ failures, failed }: Counts): Generator<string> {
  let listed = 0;
  for (const kind of ["answer", "noAnswer"] as const) {
    const some = failures.filter((failure) => failure.kind === kind);
    if (some.length === 0) continue;
    const total = some.reduce((sum, failure) => sum + failure.count, 0);
    listed += total;
    const causes = some.map(({ cause, count }) => `${cause}: ${whole(count)}`).join(", ");
    yield kind === "answer"
      ? `Any other answer: expected 0, seen ${whole(total)} (${causes})`
      : `No answer, so the outcome is unknown: expected 0, seen ${whole(total)} (${causes})`;
  }
  if (listed !== failed) yield compare("Failed requests with a cause", failed, listed);
}

function* checkAnswers({ counts, amount, balanceBefore }: UserEvidence): Generator<string> {
  const { repeated, impossible } = counts.answered;
  if (repeated > 0) {
    yield "Balances in successful answers: expected each once, " +
      `seen ${whole(repeated)} that another success had answered already`;
  }
  if (impossible > 0) {
    yield `Balances in successful answers: expected ${whole(balanceBefore)} less a multiple of ` +
      `${whole(amount)}, seen ${whole(impossible)} that no withdrawal can leave`;
  }
}

function* checkBalance(evidence: UserEvidence): Generator<string> {
  const { balanceBefore, balanceAfter, amount, counts, readProblem } = evidence;
  if (readProblem !== null) yield `Not read back: ${readProblem}`;
  if (balanceAfter === null) {
    if (readProblem === null) yield "Not read back: the balance after the run";
    return;
  }
  const expected = balanceBefore - counts.succeeded * amount;
  if (balanceAfter === expected) return;
  const formula = `${whole(balanceBefore)} - ${whole(counts.succeeded)} x ${whole(amount)}`;
  yield `${compare("Balance after", expected, balanceAfter)} (${formula})${explain(evidence)}`;
}

/** Says so where the difference is what requests of unknown outcome would have taken. */
function explain({ balanceBefore, balanceAfter, amount, counts }: UserEvidence): string {
  const taken = (balanceBefore - (balanceAfter ?? 0)) / amount - counts.succeeded;
  if (!Number.isInteger(taken) || taken < 1 || taken > counts.failed) return "";
  return `; as if ${whole(taken)} of the ${whole(counts.failed)} failed requests had been applied`;
}

function* checkJournal(evidence: UserEvidence): Generator<string> {
  const { journal, counts, created, balanceBefore, balanceAfter, amount } = evidence;
  if (journal === null) {
    if (evidence.readProblem === null) yield "Not read back: the journal";
    return;
  }
  if (journal.truncated) {
    yield `Journal: more than ${whole(journal.entries)} entries, the rest was not read`;
    return;
  }
  const entries = openingEntries(evidence) + counts.succeeded;
  if (journal.entries !== entries) yield compare("Journal entries", entries, journal.entries);
  if (!journal.gapFree || !journal.chained) {
    yield "Journal: expected consecutive versions, each balance the one before plus its amount; " +
      `seen ${journal.firstBreak ?? "otherwise"}`;
  }
  if (journal.otherAmounts > 0) {
    yield `Journal: expected amounts of -${whole(amount)} only, ` +
      `seen ${whole(journal.otherAmounts)} entries with another`;
  }
  if (balanceAfter === null) return;
  const sum = created ? balanceAfter : balanceAfter - balanceBefore;
  if (journal.sum !== sum) yield compare("Sum of the journal's amounts", sum, journal.sum);
  if (journal.newestBalance !== balanceAfter) {
    yield compare("Balance of the newest journal entry", balanceAfter, journal.newestBalance);
  }
}

/** A user created with money has one; whether one created with nothing has, is the server's choice. */
function openingEntries({ created, balanceBefore, versionBefore }: UserEvidence): number {
  if (!created) return 0;
  return balanceBefore > 0 ? 1 : Math.min(versionBefore, 1);
}

function compare(what: string, expected: number, seen: number): string {
  return `${what}: expected ${whole(expected)}, seen ${whole(seen)}`;
}

/** With thousands separators, the same on every machine. */
export function whole(n: number): string {
  return n.toLocaleString("en-US");
}
