/** Reads a user's journal back, newest entry first, and checks it page by page. */
import type { Api, ApiEntry } from "./api.ts";

/** Which part of the journal a run is about, and what it may contain. */
export interface JournalScope {
  readonly userId: number;
  /** Entries up to this version were there before and are not counted. 0 reads all there is. */
  readonly sinceVersion: number;
  /** The balance at `sinceVersion` (0 for 0). */
  readonly sinceBalance: number;
  /** What every counted entry must carry, but for the opening one (version 1). */
  readonly change: number;
  /** Reading stops beyond this many: a journal that never ends must not hold the run up. */
  readonly entriesMax: number;
}

/** The counted part of the journal. `sum` is of its amounts. */
export interface JournalReading {
  readonly entries: number;
  readonly sum: number;
  /** Versions are consecutive from the start of the scope, none missing and none twice. */
  readonly gapFree: boolean;
  /** Each entry's balance is the one before plus its amount. */
  readonly chained: boolean;
  /** The first thing, from the newest entry on, that breaks either rule. */
  readonly firstBreak: string | null;
  /** Counted entries, the opening one apart, with another amount than the run's. */
  readonly otherAmounts: number;
  /** The balance of the newest entry (of the start, where nothing was added). */
  readonly newestBalance: number;
  /** There were more than `entriesMax`, and the rest was not read. */
  readonly truncated: boolean;
}

const pageEntries = 1000;

/** Constant memory: pages are folded as they come. Throws what `api.readEntries` throws. */
export async function readJournal(api: Api, scope: JournalScope): Promise<JournalReading> {
  const fold = createFold(scope);
  let cursor: string | undefined;
  do {
    const page = await api.readEntries(scope.userId, pageEntries, cursor);
    for (const entry of page.entries) {
      if (!fold.add(entry)) return fold.finish();
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return fold.finish();
}

function createFold(scope: JournalScope) {
  let newer: ApiEntry | undefined;
  let newestBalance: number | undefined;
  let entries = 0;
  let sum = 0;
  let otherAmounts = 0;
  let gapFree = true;
  let chained = true;
  let firstBreak: string | null = null;
  let truncated = false;

  /** Checks `newer` against the version and balance that come right before it. */
  const link = (version: number, balance: number) => {
    newestBalance ??= balance;
    if (!newer) return;
    if (newer.version !== version + 1) {
      gapFree = false;
      firstBreak ??= `version ${newer.version} follows version ${version}`;
    }
    if (newer.balance !== balance + newer.amount) {
      chained = false;
      firstBreak ??=
        `version ${newer.version} says balance ${newer.balance} ` +
        `where ${balance} and an amount of ${newer.amount} give ${balance + newer.amount}`;
    }
  };
  let reachedStart = false;

  return {
    /** False when there is nothing more to read. */
    add(entry: ApiEntry): boolean {
      link(entry.version, entry.balance);
      if (entry.version <= scope.sinceVersion) {
        reachedStart = true;
        newer = entry;
        return false;
      }
      if (entries >= scope.entriesMax) {
        truncated = true;
        return false;
      }
      entries++;
      sum += entry.amount;
      if (entry.amount !== scope.change && entry.version !== 1) otherAmounts++;
      newer = entry;
      return true;
    },
    finish(): JournalReading {
      if (reachedStart && newer) {
        // The last one read is the entry the run started from: it must not have changed.
        if (newer.version !== scope.sinceVersion || newer.balance !== scope.sinceBalance) {
          chained = false;
          firstBreak ??=
            `version ${newer.version} with balance ${newer.balance} ` +
            `where the run began at version ${scope.sinceVersion} and ${scope.sinceBalance}`;
        }
      } else if (!truncated) {
        link(scope.sinceVersion, scope.sinceBalance);
      }
      newestBalance ??= scope.sinceBalance;
      return {
        entries,
        sum,
        gapFree,
        chained,
        firstBreak,
        otherAmounts,
        newestBalance,
        truncated,
      };
    },
  };
}
