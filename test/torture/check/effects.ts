/**
 * What became of each write: its entries, found by its reference, held against what it asked for and
 * what was said of it.
 */
import type { EntryLine, History, QuestionLine } from "../history/history.ts";
import { type Claims, claimsOf, isWrite } from "./claims.ts";
import { type Finding, wrong } from "./finding.ts";
import { grouped } from "./grouped.ts";

export interface Effect {
  readonly question: QuestionLine;
  readonly claims: Claims;
  /** In the journal, in the order of users and versions. */
  readonly entries: readonly EntryLine[];
  /** The entries are exactly those of one application. */
  readonly made: boolean;
}

export interface Effects {
  readonly byQuestion: ReadonlyMap<number, Effect>;
  readonly findings: readonly Finding[];
  readonly unknownMade: number;
  readonly unknownNotMade: number;
}

export function findEffects(history: History): Effects {
  const byReference = grouped(history.entries, ({ reference }) => reference);
  const byQuestion = new Map<number, Effect>();
  const findings: Finding[] = [];
  let unknownMade = 0;
  let unknownNotMade = 0;
  for (const question of history.questions.values()) {
    if (!isWrite(question)) continue;
    const attempts = history.attempts.get(question.id);
    const claims = claimsOf(attempts ?? []);
    const entries = byReference.get(question.reference ?? "") ?? [];
    byReference.delete(question.reference ?? "");
    const times = timesApplied(entries, entriesAskedFor(question));
    // It was drawn and never sent.
    if (!attempts && entries.length === 0) continue;
    byQuestion.set(question.id, { question, claims, entries, made: times === 1 });
    if (claims.final === "unknown" && times === 1) unknownMade += 1;
    if (claims.final === "unknown" && times === 0) unknownNotMade += 1;
    findings.push(...judge(question, claims, times));
  }
  for (const [reference, entries] of byReference) {
    const strange = entries.filter(({ kind }) => kind !== "opening" && kind !== "expiry");
    for (const { user, version, kind } of strange) {
      findings.push(
        wrong(`version ${version}, ${kind}, reference ${reference}: nobody asked`, { user }),
      );
    }
  }
  return { byQuestion, findings, unknownMade, unknownNotMade };
}

/**
 * The entries that the outcome kept under a key may be of: the payer's last one, and of a batch, which
 * is kept as its first leg is, the first one too.
 */
export function keptEntries({ question, entries }: Effect): EntryLine[] {
  const own = entries.filter(({ user }) => user === question.user);
  return question.kind === "batch" ? [...own.slice(0, 1), ...own.slice(-1)] : own.slice(-1);
}

function judge(question: QuestionLine, claims: Claims, times: number | "torn"): Finding[] {
  const about = { question: question.id, user: question.user };
  const { final } = claims;
  const what = `${question.kind} ${question.reference}`;
  const findings: Finding[] = [];
  if (times === "torn") {
    findings.push(wrong(`${what}: the journal has a part of it`, about));
  } else if (times > 1) {
    findings.push({ class: "doubled", text: `${what}: made ${times} times`, ...about });
  } else if (times === 0 && final === "applied") {
    findings.push({ class: "lost", text: `${what}: acknowledged, and not there`, ...about });
  } else if (times === 1 && (final === "refused" || final === "no")) {
    const said = final === "no" ? "nothing was changed" : claims.refused[0]?.code;
    findings.push(wrong(`${what}: "${said}", and it was made`, about));
  }
  if (claims.applied.length > 0 && claims.refused.length > 0) {
    findings.push(wrong(`${what}: applied, and ${claims.refused[0]?.code} under its key`, about));
  }
  if (final === "invalid") findings.push(wrong(`${what}: an answer that no request gets`, about));
  return findings;
}

type Asked = Pick<EntryLine, "user" | "amount" | "kind">;

/** The entries of one application. */
export function entriesAskedFor(question: QuestionLine): Asked[] {
  const { kind, user, amount = 0, to, legs = [], holdAmount = 0 } = question;
  const pay = (payee: number, paid: number): Asked[] => [
    { user, amount: -paid, kind: "transfer" },
    { user: payee, amount: paid, kind: "transfer" },
  ];
  switch (kind) {
    case "opening":
      return [{ user, amount, kind: "opening" }];
    case "adjust":
      return [{ user, amount, kind: "adjustment" }];
    case "transfer":
      return pay(to ?? 0, amount);
    case "batch":
      return legs.flatMap((leg) => pay(leg.to, leg.amount));
    case "hold":
      return [{ user, amount: -amount, kind: "hold" }];
    case "void":
      return [{ user, amount: holdAmount, kind: "void" }];
    case "capture":
      return [
        { user, amount: holdAmount, kind: "release" },
        { user, amount: -amount, kind: "capture" },
        ...(to === undefined ? [] : [{ user: to, amount, kind: "capture" }]),
      ];
    default:
      return [];
  }
}

function timesApplied(entries: readonly EntryLine[], asked: readonly Asked[]): number | "torn" {
  const text = ({ user, amount, kind }: Asked) => `${user} ${amount} ${kind}`;
  const counts = new Map<string, number>();
  for (const entry of entries) counts.set(text(entry), (counts.get(text(entry)) ?? 0) + 1);
  const times = entries.length / asked.length;
  for (const [key, wanted] of grouped(asked, text)) {
    if (counts.get(key) !== times * wanted.length && times > 0) return "torn";
  }
  return Number.isInteger(times) ? times : "torn";
}
