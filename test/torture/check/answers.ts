/** Each acknowledged answer against the entries that the journal has for it, and each look-up. */
import type { AttemptLine, EntryLine, History, QuestionLine } from "../history/history.ts";
import { claimOf } from "./claims.ts";
import { type Effect, type Effects, keptEntries } from "./effects.ts";
import { type Finding, wrong } from "./finding.ts";

export function checkAnswers(history: History, { byQuestion }: Effects): Finding[] {
  const findings: Finding[] = [];
  for (const effect of byQuestion.values()) {
    if (!effect.made) continue;
    for (const attempt of effect.claims.applied) {
      for (const [what, said, true_] of comparisons(effect, attempt)) {
        if (same(said, true_)) continue;
        const { question } = effect;
        const text = `${question.kind} ${question.reference}: ${what} ${show(said)}, not ${show(true_)}`;
        findings.push(wrong(text, { question: question.id, user: question.user }));
      }
    }
  }
  for (const question of history.questions.values()) {
    if (question.kind === "lookup") findings.push(...checkLookUp(history, byQuestion, question));
  }
  return findings;
}

type Comparison = readonly [what: string, said: unknown, inTheJournal: unknown];

function comparisons({ question, entries }: Effect, { data = {}, version }: AttemptLine) {
  const { kind, user, amount, ifVersion, minBalance, hold } = question;
  const own = entries.filter((entry) => entry.user === user);
  const [first] = own as [EntryLine, ...EntryLine[]];
  const last = own.at(-1) as EntryLine;
  const list: Comparison[] = [];
  if (ifVersion !== undefined) list.push(["If-Match", ifVersion, first.version - 1]);
  if (minBalance !== undefined && last.balance < minBalance) {
    list.push(["minBalance", minBalance, last.balance]);
  }
  if (kind !== "batch") list.push(["balance", data["balance"], last.balance]);
  switch (kind) {
    case "adjust":
      list.push(
        ["ETag", version, last.version],
        ["amount", data["amount"], amount],
        ["previousBalance", data["previousBalance"], last.balance - last.amount],
      );
      break;
    case "transfer":
      for (const { operation } of entries) list.push(["id", data["id"], operation]);
      break;
    case "batch":
      list.push(...batchComparisons(question, entries, data));
      break;
    case "hold":
      list.push(["id", data["id"], first.operation], ["amount", data["amount"], amount]);
      break;
    case "capture":
    case "void":
      for (const { operation } of entries) list.push(["hold of the entry", operation, hold]);
      list.push(
        ["id", data["id"], hold],
        ["amount", data["amount"], question.holdAmount],
        ["captured", data["captured"], amount],
        ["released", data["released"], (question.holdAmount ?? 0) - (amount ?? 0)],
        ["state", data["state"], kind === "void" ? "voided" : "captured"],
      );
      break;
  }
  return list;
}

/** Each leg that is answered is two entries under its id. */
function batchComparisons(
  { legs = [], user }: QuestionLine,
  entries: readonly EntryLine[],
  data: Readonly<Record<string, unknown>>,
): Comparison[] {
  const answered = (data["transfers"] ?? []) as { id: string; to: number; amount: number }[];
  const list: Comparison[] = [["legs", answered.length, legs.length]];
  for (const { id, to, amount } of answered) {
    const pair = entries.filter(({ operation }) => operation === id);
    const seen = pair.map((entry) => `${entry.user} ${entry.amount}`).sort();
    list.push([`leg ${id}`, [`${user} ${-amount}`, `${to} ${amount}`].sort().join(), seen.join()]);
  }
  return list;
}

/**
 * A look-up says what was done, and "not found" only of what is not done, and, when nobody is
 * asking any more, never will be.
 */
function checkLookUp(
  history: History,
  effects: ReadonlyMap<number, Effect>,
  question: QuestionLine,
): Finding[] {
  const effect = effects.get(question.about ?? 0);
  const asked = history.attempts.get(question.about ?? 0) ?? [];
  const findings: Finding[] = [];
  const say = (text: string) =>
    findings.push(
      wrong(`look-up of ${effect?.question.reference}: ${text}`, { question: question.id }),
    );
  for (const { status, code, data = {}, sentMs } of history.attempts.get(question.id) ?? []) {
    const kept = effect ? keptEntries(effect) : [];
    const isKept = ({ version, balance }: EntryLine) =>
      version === data["version"] && balance === data["balance"];
    if (code === "OPERATION_NOT_FOUND") {
      const known = asked.some((one) => settles(one) && one.doneMs < sentMs);
      if (known) say("not found, after it was answered");
      if (effect?.made && asked.every(({ doneMs }) => doneMs < sentMs)) {
        say("not found when nobody asked any more, and it was made");
      }
    } else if (status === 200 && data["outcome"] === "applied") {
      if (!effect?.made) say("applied, and it is not there");
      else if (!kept.some(isKept)) {
        say(`version ${data["version"]}, balance ${data["balance"]}; its entry says otherwise`);
      }
    } else if (status === 200 && effect?.made) {
      say(`${data["outcome"]}, and it was made`);
    }
  }
  return findings;
}

/** After these the key has an outcome: applied, or a refusal that is kept. */
function settles(attempt: AttemptLine): boolean {
  const claim = claimOf(attempt);
  return claim === "applied" || (claim === "refused" && !/_NOT_FOUND$/.test(attempt.code ?? ""));
}

function same(a: unknown, b: unknown): boolean {
  return a === b;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "absent";
}
