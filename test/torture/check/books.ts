/** Whether the tables agree with each other: sums, versions, what is held, keys, and what verify says. */
import type { AccountLine, EntryLine, History } from "../history/history.ts";
import { type Effects, keptEntries } from "./effects.ts";
import { type Finding, wrong } from "./finding.ts";
import { grouped } from "./grouped.ts";

export function checkBooks(history: History, effects: Effects): Finding[] {
  const { verify } = history;
  const entries = grouped(history.entries, ({ user }) => user);
  const findings = history.accounts.flatMap((account) =>
    checkAccount(account, entries.get(account.user) ?? []),
  );
  findings.push(...checkHolds(history), ...checkKeys(history, effects), ...checkMoney(history));
  if (!verify) findings.push(wrong("balancectl verify did not run"));
  else if (!verify.ok) findings.push(wrong(`verify: ${JSON.stringify(verify.findings)}`));
  return findings;
}

function checkAccount(account: AccountLine, entries: readonly EntryLine[]): Finding[] {
  const { user } = account;
  const findings: Finding[] = [];
  let balance = 0;
  for (const [index, entry] of entries.entries()) {
    balance += entry.amount;
    if (entry.version !== index + 1 || entry.balance !== balance || balance < 0) {
      const text = `entry ${index + 1} is version ${entry.version} with ${entry.balance}, not ${balance}`;
      return [wrong(text, { user })];
    }
  }
  if (account.balance !== balance || account.version !== entries.length) {
    const text = `balance ${account.balance} at version ${account.version}, entries say ${balance} at ${entries.length}`;
    findings.push(wrong(text, { user }));
  }
  return findings;
}

/** A hold begins once, ends at most once, and what is held is what the open ones say. */
function checkHolds({ holds, entries, accounts }: History): Finding[] {
  const findings: Finding[] = [];
  const beginnings = grouped(
    entries.filter(({ kind }) => kind === "hold"),
    ({ operation }) => operation,
  );
  const endings = grouped(
    entries.filter(({ kind }) => ["release", "void", "expiry"].includes(kind)),
    ({ operation }) => operation,
  );
  const kindOf: Record<string, string> = {
    captured: "release",
    voided: "void",
    expired: "expiry",
  };
  for (const { id, user, amount, state } of holds) {
    const begun = beginnings.get(id) ?? [];
    const ended = endings.get(id) ?? [];
    const sound =
      begun.length === 1 &&
      begun[0]?.amount === -amount &&
      ended.length === (state === "open" ? 0 : 1) &&
      ended.every((entry) => entry.kind === kindOf[state] && entry.amount === amount);
    if (!sound) {
      const kinds = [...begun, ...ended].map(({ kind }) => kind).join(", ");
      findings.push(wrong(`hold ${id}, ${state}, ${amount}: entries ${kinds}`, { user }));
    }
    beginnings.delete(id);
  }
  for (const [id, [entry]] of beginnings) {
    findings.push(wrong(`hold ${id} has an entry and is not there`, { user: entry?.user ?? 0 }));
  }
  for (const { user, held } of accounts) {
    const open = holds.filter((hold) => hold.user === user && hold.state === "open");
    const sum = open.reduce((total, { amount }) => total + amount, 0);
    if (sum !== held) findings.push(wrong(`held ${held}, open holds ${sum}`, { user }));
  }
  return findings;
}

/** A key is there with its change and never without. */
function checkKeys({ keys }: History, { byQuestion }: Effects): Finding[] {
  const findings: Finding[] = [];
  const rows = new Map(keys.map((row) => [`${row.user} ${row.key}`, row]));
  for (const effect of byQuestion.values()) {
    const { question, made } = effect;
    // An opening's key is in nobody's scope.
    if (question.key === undefined || question.kind === "opening") continue;
    const row = rows.get(`${question.user} ${question.key}`);
    const about = { question: question.id, user: question.user };
    const isKept = keptEntries(effect).some(({ version }) => version === row?.version);
    if (made && (row?.refusal !== null || !isKept)) {
      findings.push(
        wrong(`key ${question.key}: made, and its row is ${JSON.stringify(row)}`, about),
      );
    } else if (!made && row?.refusal === null) {
      findings.push(wrong(`key ${question.key} is kept for what was not made`, about));
    }
  }
  return findings;
}

/** What came in by adjustments and openings, less what was captured for nobody, is what there is. */
function checkMoney({ entries, accounts }: History): Finding[] {
  let expected = 0;
  for (const { kind, amount } of entries) {
    if (kind === "opening" || kind === "adjustment" || kind === "capture") expected += amount;
  }
  const there = accounts.reduce((total, { balance, held }) => total + balance + held, 0);
  if (there === expected) return [];
  return [wrong(`${there} in balances and holds, and ${expected} came in`)];
}
