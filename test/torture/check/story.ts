/**
 * A small history that is clean, made by hand: what a check has to pass over, and what a test plants its
 * lie in. Every second something is asked, and is answered half a second later.
 */
import type {
  AccountLine,
  AttemptLine,
  EntryLine,
  HoldLine,
  KeyLine,
  Line,
  QuestionLine,
} from "../history/history.ts";
import { entriesAskedFor } from "./effects.ts";

export type Asked = Omit<QuestionLine, "type" | "id" | "reference">;

/** What is said, where it is not what a sound server says; `times` is how often it was done. */
export interface Twist {
  readonly attempt?: Partial<AttemptLine>;
  readonly times?: number;
}

export interface Story {
  /** Asks, applies and answers. @returns the question's number */
  ask(asked: Asked, twist?: Twist): number;
  /** Asks the same question once more; nothing is applied. */
  again(question: number, attempt: Partial<AttemptLine>): void;
  /** The milliseconds of the next question. */
  now(): number;
  lines(): Line[];
}

export function createStory(): Story {
  const told: Line[] = [];
  const entries: EntryLine[] = [];
  const accounts = new Map<number, AccountLine>();
  const holds = new Map<string, HoldLine>();
  const keys: KeyLine[] = [];
  let questions = 0;
  let nowMs = 0;

  const account = (user: number): AccountLine =>
    accounts.get(user) ?? { type: "account", user, balance: 0, held: 0, version: 0 };

  function apply(question: QuestionLine): Record<string, unknown> {
    const { kind, user, amount = 0, hold, holdAmount = 0, reference = null } = question;
    const operation = kind === "adjust" || kind === "opening" ? null : (hold ?? `id-${reference}`);
    for (const [index, asked] of entriesAskedFor(question).entries()) {
      const before = account(asked.user);
      const after = {
        ...before,
        balance: before.balance + asked.amount,
        version: before.version + 1,
      };
      accounts.set(asked.user, after);
      const leg = kind === "batch" ? `${operation}-${index >> 1}` : operation;
      const { version, balance } = after;
      entries.push({ type: "entry", ...asked, version, balance, operation: leg, reference });
    }
    if (kind === "hold") moveHold(user, String(operation), amount, "open", amount);
    if (kind === "capture") moveHold(user, hold ?? "", holdAmount, "captured", -holdAmount);
    if (kind === "void") moveHold(user, hold ?? "", holdAmount, "voided", -holdAmount);
    const { balance, version } = account(user);
    if (question.key !== undefined) {
      keys.push({ type: "key", user, key: question.key, refusal: null, balance, version });
    }
    return { id: operation ?? user, balance, previousBalance: balance - amount, amount };
  }

  function moveHold(user: number, id: string, amount: number, state: string, held: number): void {
    holds.set(id, { type: "hold", user, id, amount, state, captured: null });
    accounts.set(user, { ...account(user), held: account(user).held + held });
  }

  function answerOf(question: QuestionLine, data: Record<string, unknown>): Partial<AttemptLine> {
    const { kind, user, amount, holdAmount = 0, legs, reference } = question;
    const { version, balance } = account(user);
    switch (kind) {
      case "opening":
        return { status: 201, data: { id: user, balance: amount } };
      case "adjust":
        return { status: 200, version, data };
      case "capture":
      case "void": {
        const state = kind === "void" ? "voided" : "captured";
        const captured = kind === "void" ? {} : { captured: amount };
        const released = holdAmount - (amount ?? 0);
        return { status: 200, data: { ...data, amount: holdAmount, state, ...captured, released } };
      }
      case "batch": {
        const transfers = legs?.map((leg, index) => ({ id: `id-${reference}-${index}`, ...leg }));
        return { status: 201, data: { transfers } };
      }
      case "read":
        return { status: 200, version, data: { id: user, balance } };
      default:
        return { status: 201, data };
    }
  }

  function attempt(question: number, said: Partial<AttemptLine>): void {
    const doneMs = nowMs + 500;
    told.push({ type: "attempt", question, server: 0, sentMs: nowMs, doneMs, status: 0, ...said });
    nowMs += 1_000;
  }

  return {
    ask: (asked, { attempt: said, times = 1 } = {}) => {
      questions += 1;
      const reference =
        asked.kind === "read" || asked.kind === "lookup" ? {} : { reference: `t${questions}` };
      const question: QuestionLine = { type: "question", id: questions, ...asked, ...reference };
      told.push(question);
      let data = {};
      for (let done = 0; done < times; done += 1) data = apply(question);
      attempt(questions, { ...answerOf(question, data), ...said });
      return questions;
    },
    again: attempt,
    now: () => nowMs,
    lines: () => [
      {
        ...{ type: "round", fault: "planted", round: 1, seed: 1 },
        ...{ startedAt: "2026-01-01T00:00:00.000Z", postgres: "none" },
      },
      ...told,
      ...entries,
      ...accounts.values(),
      ...holds.values(),
      ...keys,
      { type: "verify", ok: true, findings: [] },
    ],
  };
}
