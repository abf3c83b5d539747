/** The whole check of a history: its row of the table, and everything that is not as it must be. */
import type { AttemptLine, History } from "../history/history.ts";
import { checkAnswers } from "./answers.ts";
import { checkBooks } from "./books.ts";
import { claimOf, isSilent, isWrite } from "./claims.ts";
import { findEffects } from "./effects.ts";
import { type Finding, wrong } from "./finding.ts";
import { checkOrder } from "./order.ts";

export interface Verdict {
  readonly fault: string;
  /** Attempts: repetitions and reads included. */
  readonly requests: number;
  /** Writes that were answered 2xx, each once. */
  readonly acknowledged: number;
  readonly fiveHundreds: number;
  readonly silent: number;
  readonly unknownMade: number;
  readonly unknownNotMade: number;
  readonly recoveryMsMax: number;
  readonly waitMsMax: number;
  readonly findings: readonly Finding[];
  /** What silent answers and 500s said, with how many said it. */
  readonly said: ReadonlyMap<string, number>;
}

export function check(history: History): Verdict {
  const effects = findEffects(history);
  const said = new Map<string, number>();
  let requests = 0;
  let fiveHundreds = 0;
  let silent = 0;
  let waitMsMax = 0;
  for (const [id, attempts] of history.attempts) {
    const question = history.questions.get(id);
    for (const attempt of attempts) {
      requests += 1;
      waitMsMax = Math.max(waitMsMax, attempt.doneMs - attempt.sentMs);
      const isFault = attempt.status === 500;
      const isMute = question !== undefined && isSilent(question, attempt);
      fiveHundreds += isFault ? 1 : 0;
      silent += isMute ? 1 : 0;
      if (isFault || isMute) {
        const text = `${attempt.status} ${attempt.code}: ${attempt.message}`;
        said.set(text, (said.get(text) ?? 0) + 1);
      }
    }
  }
  const written = [...effects.byQuestion.values()].filter(({ question }) => isWrite(question));
  return {
    fault: history.round.fault,
    requests,
    acknowledged: written.filter(({ claims }) => claims.final === "applied").length,
    fiveHundreds,
    silent,
    unknownMade: effects.unknownMade,
    unknownNotMade: effects.unknownNotMade,
    recoveryMsMax: longestRecovery(history),
    waitMsMax,
    findings: [
      ...effects.findings,
      ...checkAnswers(history, effects),
      ...checkOrder(history, effects),
      ...checkBooks(history, effects),
      ...strangeReads(history),
      ...history.events
        .filter(({ what }) => what === "died" || what === "stuck")
        .map(({ what, text }) => wrong(`${what}: ${text}`)),
    ],
    said,
  };
}

export function countFindings({ findings }: Verdict, name: Finding["class"]): number {
  return findings.filter((finding) => finding.class === name).length;
}

/** @returns whether all is as it must be */
export function isClean({ findings, fiveHundreds, silent }: Verdict): boolean {
  return findings.length === 0 && fiveHundreds === 0 && silent === 0;
}

/** From a healing to the later of the first success and the last failure before the next injection. */
function longestRecovery({ attempts, events }: History): number {
  const all = [...attempts.values()].flat().sort((a, b) => a.doneMs - b.doneMs);
  let longest = 0;
  for (const [index, { what, atMs }] of events.entries()) {
    if (what !== "heal") continue;
    const next = events.slice(index).find((event) => event.what === "inject");
    const until = next?.atMs ?? Number.POSITIVE_INFINITY;
    const after = all.filter(({ doneMs }) => doneMs >= atMs && doneMs < until);
    const success = after.find((attempt) => !isFailure(attempt));
    const failure = after.findLast(isFailure);
    longest = Math.max(longest, (success?.doneMs ?? atMs) - atMs, (failure?.doneMs ?? atMs) - atMs);
  }
  return longest;
}

function isFailure(attempt: AttemptLine): boolean {
  return ["no", "unknown"].includes(claimOf(attempt));
}

/** Reads ask for users and keys that are there. */
function strangeReads({ questions, attempts }: History): Finding[] {
  return [...questions.values()]
    .filter((question) => !isWrite(question))
    .flatMap(({ id, kind, user }) =>
      (attempts.get(id) ?? [])
        .filter(
          (one) => claimOf(one) === "invalid" || (kind === "read" && claimOf(one) === "refused"),
        )
        .map(({ status, code }) => wrong(`${kind}: ${status} ${code}`, { question: id, user })),
    );
}
