/** A user that a run withdraws from: found or created before it, read back after it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "./api.ts";
import { type JournalReading, readJournal } from "./journal.ts";

/** As found before the first withdrawal. */
export interface Subject {
  readonly id: number;
  readonly balance: number;
  /** Version of the newest journal entry, 0 for none. */
  readonly version: number;
  /** Created by this run: then its whole journal is read back, otherwise only what is new. */
  readonly created: boolean;
}

/** As found after the last one. What could not be read is null, and `problem` says why. */
export interface SubjectAfter {
  readonly balance: number | null;
  readonly journal: JournalReading | null;
  readonly problem: string | null;
}

// Requests without an answer may still be on their way through the server while it is read.
const readsMax = 5;
const pauseMs = 200;

// A journal longer than the run can have made it is somebody else's; reading it all proves nothing.
const foreignEntriesMax = 1000;

/** Throws what the API throws. */
export async function prepareSubject(
  api: Api,
  wanted: { readonly balance?: number | undefined; readonly userId?: number | undefined },
): Promise<Subject> {
  const { balance, userId } = wanted;
  const user =
    userId === undefined ? await api.createUser(balance ?? 0) : await api.readUser(userId);
  const { entries } = await api.readEntries(user.id, 1);
  const version = entries[0]?.version ?? 0;
  return { id: user.id, balance: user.balance, version, created: userId === undefined };
}

/**
 * Balance, then journal. Where some of the `sent` requests `failed` and the two disagree, both are
 * read again: a request given up on may be applied at any moment. Never throws.
 */
export async function readBack(
  api: Api,
  subject: Subject,
  change: number,
  sent: number,
  failed: number,
): Promise<SubjectAfter> {
  const sinceVersion = subject.created ? 0 : subject.version;
  const scope = {
    userId: subject.id,
    sinceVersion,
    sinceBalance: subject.created ? 0 : subject.balance,
    change,
    entriesMax: sent + foreignEntriesMax,
  };
  let balance: number | null = null;
  let journal: JournalReading | null = null;
  try {
    for (let reads = 1; ; reads++) {
      balance = (await api.readUser(subject.id)).balance;
      journal = await readJournal(api, scope);
      const settled = failed === 0 || journal.newestBalance === balance;
      if (settled || reads === readsMax) break;
      await sleep(pauseMs);
    }
    return { balance, journal, problem: null };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { balance, journal: null, problem };
  }
}
