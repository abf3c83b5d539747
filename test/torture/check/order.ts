/**
 * Linearizability, account by account. The journal gives the order of an account's changes, so no search
 * is needed: each change n gets the bounds low[n] and high[n] of the moment at which it can have been
 * made, and there is such an order in real time exactly if no bound of a later one lies before one of an
 * earlier one. A change lies between its question and its answer; whoever saw state n from `from` to
 * `until` says that change n was made before `until`, and change n + 1 after `from`. A refusal may have
 * seen any state that gives reason to it; what it says narrows as the others' bounds do, until nothing
 * moves.
 */
import type { AttemptLine, EntryLine, History, QuestionLine } from "../history/history.ts";
import { claimOf } from "./claims.ts";
import type { Effect, Effects } from "./effects.ts";
import { type Finding, wrong } from "./finding.ts";
import { grouped } from "./grouped.ts";

/** What an account is after a change: of all entries of one transaction the last. */
interface State {
  readonly version: number;
  readonly balance: number;
  /** Holds that this change ended. */
  readonly closes: readonly string[];
}

/** Somebody saw the account between two moments, in one of the states that fit. */
interface Sight {
  readonly from: number;
  readonly until: number;
  readonly fits: (state: State, number: number) => boolean;
  readonly what: string;
  readonly question: number;
}

interface Account {
  readonly user: number;
  /** The first is that before any entry. */
  readonly states: State[];
  /** When change n was made, at the earliest and at the latest. */
  readonly low: number[];
  readonly high: number[];
  readonly whose: string[];
}

export function checkOrder(history: History, effects: Effects): Finding[] {
  const findings: Finding[] = [];
  const sights = grouped(sightsOf(history), ({ user }) => user);
  const effectOf = new Map(
    [...effects.byQuestion.values()].map((effect) => [effect.question.reference, effect]),
  );
  const found = lookUpBounds(history);
  for (const [user, entries] of grouped(history.entries, ({ user }) => user)) {
    const account = createAccount(user, entries, effectOf, history, found, findings);
    findings.push(...order(account, sights.get(user)?.map(({ sight }) => sight) ?? []));
  }
  return findings;
}

function createAccount(
  user: number,
  entries: readonly EntryLine[],
  effectOf: ReadonlyMap<string | undefined, Effect>,
  history: History,
  found: ReadonlyMap<number, { low: number; high: number }>,
  findings: Finding[],
): Account {
  const account: Account = {
    user,
    states: [{ version: 0, balance: 0, closes: [] }],
    low: [Number.NEGATIVE_INFINITY],
    high: [Number.POSITIVE_INFINITY],
    whose: ["nothing"],
  };
  const seen = new Set<string>();
  for (let at = 0; at < entries.length; at += 1) {
    const { reference, kind } = entries[at] as EntryLine;
    const begun = at;
    // What one request made is there at once: nobody sees a part of it.
    while (reference !== null && entries[at + 1]?.reference === reference) at += 1;
    const last = entries[at] as EntryLine;
    if (reference !== null && seen.has(reference)) {
      findings.push(
        wrong(`version ${last.version}: ${reference} is torn apart by others`, { user }),
      );
    }
    if (reference !== null) seen.add(reference);
    const closes = entries
      .slice(begun, at + 1)
      .filter((entry) => ["release", "void", "expiry"].includes(entry.kind))
      .map(({ operation }) => operation ?? "");
    account.states.push({ version: last.version, balance: last.balance, closes });
    const effect = effectOf.get(reference ?? undefined);
    const bounds = effect ? boundsOf(effect, history, found) : anytime;
    account.low.push(bounds.low);
    account.high.push(bounds.high);
    account.whose.push(effect ? `${effect.question.kind} ${reference}` : kind);
  }
  return account;
}

const anytime = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/** From the first question that can have made it to the first answer that says so. */
function boundsOf(
  { question, claims }: Effect,
  history: History,
  found: ReadonlyMap<number, { low: number; high: number }>,
): { low: number; high: number } {
  const attempts = history.attempts.get(question.id) ?? [];
  const makers = attempts.filter((one) => {
    const claim = claimOf(one);
    return claim === "unknown" || (claim === "applied" && !one.replayed);
  });
  const seen = found.get(question.id);
  return {
    low: Math.max(
      Math.min(...(makers.length > 0 ? makers : attempts).map(({ sentMs }) => sentMs)),
      seen?.low ?? Number.NEGATIVE_INFINITY,
    ),
    high: Math.min(
      ...claims.applied.map(({ doneMs }) => doneMs),
      seen?.high ?? Number.POSITIVE_INFINITY,
    ),
  };
}

/** Who found it when looking says that it had been made; who did not, that it had not. */
function lookUpBounds(history: History): Map<number, { low: number; high: number }> {
  const bounds = new Map<number, { low: number; high: number }>();
  for (const { id, kind, about = 0 } of history.questions.values()) {
    if (kind !== "lookup") continue;
    const of = bounds.get(about) ?? { ...anytime };
    for (const { status, code, data, sentMs, doneMs } of history.attempts.get(id) ?? []) {
      if (status === 200 && data?.["outcome"] === "applied") of.high = Math.min(of.high, doneMs);
      if (code === "OPERATION_NOT_FOUND") of.low = Math.max(of.low, sentMs);
    }
    bounds.set(about, of);
  }
  return bounds;
}

function order(account: Account, sights: readonly Sight[]): Finding[] {
  const { user, states, low, high, whose } = account;
  const findings: Finding[] = [];
  let open = sights;
  tighten(account);
  for (let moved = true; moved; ) {
    moved = false;
    const next: Sight[] = [];
    for (const sight of open) {
      const range = rangeOf(account, sight);
      if (!range) {
        findings.push(
          wrong(`${sight.what}, which at no moment it was`, { user, question: sight.question }),
        );
        continue;
      }
      next.push(sight);
      const { first, last } = range;
      if (sight.until < (high[first] as number)) {
        high[first] = sight.until;
        moved = true;
      }
      if (last + 1 < states.length && sight.from > (low[last + 1] as number)) {
        low[last + 1] = sight.from;
        moved = true;
      }
    }
    open = next;
    if (moved) tighten(account);
  }
  for (let n = 1; n < states.length; n += 1) {
    if ((low[n] as number) <= (high[n] as number)) continue;
    const { version } = states[n] as State;
    findings.push(
      wrong(
        `version ${version}, ${whose[n]}: not before ${low[n]?.toFixed(1)} ms by those before it, and not ` +
          `after ${high[n]?.toFixed(1)} ms by those after it`,
        { user },
      ),
    );
    break;
  }
  return findings;
}

/** A change is made after those before it and before those after it. */
function tighten({ low, high }: Account): void {
  for (let n = 1; n < low.length; n += 1) low[n] = Math.max(low[n] as number, low[n - 1] as number);
  for (let n = high.length - 2; n >= 0; n -= 1) {
    high[n] = Math.min(high[n] as number, high[n + 1] as number);
  }
}

/** The first and the last state that it can have seen: there at some moment of its time, and fitting. */
function rangeOf({ states, low, high }: Account, { from, until, fits }: Sight) {
  let first = firstAbove(high, from) - 1;
  let last = firstAbove(low, until, true) - 1;
  first = Math.max(first, 0);
  last = Math.min(last, states.length - 1);
  while (first <= last && !fits(states[first] as State, first)) first += 1;
  while (last >= first && !fits(states[last] as State, last)) last -= 1;
  return first <= last ? { first, last } : undefined;
}

/** The first index whose value is at least (strictly: more than) the bound; they never fall. */
function firstAbove(values: readonly number[], bound: number, strictly = false): number {
  let begin = 0;
  let end = values.length;
  while (begin < end) {
    const middle = (begin + end) >> 1;
    const value = values[middle] as number;
    if (strictly ? value > bound : value >= bound) end = middle;
    else begin = middle + 1;
  }
  return begin;
}

function sightsOf(history: History): { user: number; sight: Sight }[] {
  const closedAt = grouped(
    history.entries.filter(({ kind }) => ["release", "void", "expiry"].includes(kind)),
    ({ operation }) => operation,
  );
  const sights: { user: number; sight: Sight }[] = [];
  for (const question of history.questions.values()) {
    const attempts = history.attempts.get(question.id) ?? [];
    for (const attempt of attempts) {
      const fits = fitsOf(question, attempt, closedAt);
      if (!fits) continue;
      // What is replayed was seen when it was first asked.
      const from = attempt.replayed ? (attempts[0] as AttemptLine).sentMs : attempt.sentMs;
      const answer =
        question.kind === "read"
          ? `version ${attempt.version} with ${attempt.data?.["balance"]}`
          : `${question.kind} ${question.reference} ${attempt.code}`;
      const what = `read or refused: ${answer}`;
      const sight = { from, until: attempt.doneMs, fits, what, question: question.id };
      sights.push({ user: question.user, sight });
    }
  }
  return sights;
}

/** The states that give reason to the answer; undefined for one that says nothing of a state. */
function fitsOf(
  question: QuestionLine,
  attempt: AttemptLine,
  closedAt: ReadonlyMap<string | null, readonly EntryLine[]>,
): Sight["fits"] | undefined {
  const { kind, ifVersion, minBalance = 0, hold = "" } = question;
  if (kind === "read") {
    if (attempt.status !== 200) return undefined;
    const balance = attempt.data?.["balance"];
    return (state) => state.version === attempt.version && state.balance === balance;
  }
  if (kind === "lookup" || claimOf(attempt) !== "refused") return undefined;
  const change = kind === "adjust" ? (question.amount ?? 0) : -(question.amount ?? 0);
  switch (attempt.code) {
    case "INSUFFICIENT_FUNDS":
      return ({ version, balance }) =>
        balance + change < minBalance && (ifVersion === undefined || ifVersion === version);
    case "PRECONDITION_FAILED":
      return ({ version }) => ifVersion !== undefined && ifVersion !== version;
    case "HOLD_CLOSED": {
      const closed = closedAt.get(hold)?.[0]?.version ?? Number.POSITIVE_INFINITY;
      return ({ version }) => version >= closed;
    }
    default:
      return () => false;
  }
}
