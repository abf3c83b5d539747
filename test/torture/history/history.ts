/**
 * The lines of a history: what was asked and answered in one round, what was done to the stage
 * meanwhile, and what the tables held afterwards. README.md describes the file for other checkers.
 */

export type Line =
  | RoundLine
  | QuestionLine
  | AttemptLine
  | EventLine
  | EntryLine
  | AccountLine
  | HoldLine
  | KeyLine
  | VerifyLine;

/** The first line. */
export interface RoundLine {
  readonly type: "round";
  readonly fault: string;
  readonly round: number;
  readonly seed: number;
  readonly startedAt: string;
  readonly postgres: string;
}

export type WriteKind = "opening" | "adjust" | "transfer" | "batch" | "hold" | "capture" | "void";
export type QuestionKind = WriteKind | "read" | "lookup";

/** What is wanted; its attempts name it by `id`. One without a key has one attempt. */
export interface QuestionLine {
  readonly type: "question";
  readonly id: number;
  readonly kind: QuestionKind;
  /** Whose balance it is about: of a transfer the payer. */
  readonly user: number;
  /** Signed for an adjustment, else positive; of a capture what is taken; of a batch the sum. */
  readonly amount?: number;
  readonly to?: number;
  /** Of a batch: all paid by `user`. */
  readonly legs?: readonly { readonly to: number; readonly amount: number }[];
  /** Of a capture or a void: the hold, and its whole amount. */
  readonly hold?: string;
  readonly holdAmount?: number;
  /** Of a hold: seconds. */
  readonly expiresIn?: number;
  readonly key?: string;
  /** If-Match */
  readonly ifVersion?: number;
  readonly minBalance?: number;
  /** On each of its entries; no two questions have the same. */
  readonly reference?: string;
  /** Of a look-up: the question whose key is looked up. */
  readonly about?: number;
}

/** One request and its answer. Times are milliseconds of one clock that never jumps. */
export interface AttemptLine {
  readonly type: "attempt";
  readonly question: number;
  readonly server: number;
  readonly sentMs: number;
  readonly doneMs: number;
  /** 0: no answer came, for the reason in `lostBy`. */
  readonly status: number;
  readonly lostBy?: string;
  readonly code?: string;
  readonly message?: string;
  readonly applied?: string;
  readonly retryAfter?: string;
  readonly replayed?: true;
  /** Of the ETag. */
  readonly version?: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface EventLine {
  readonly type: "event";
  readonly atMs: number;
  /** "died": a server ended that nobody had ended. "stuck": something did not end or recover. */
  readonly what: "inject" | "heal" | "died" | "stuck" | "note";
  readonly text?: string;
}

export interface EntryLine {
  readonly type: "entry";
  readonly user: number;
  readonly version: number;
  readonly amount: number;
  readonly balance: number;
  readonly kind: string;
  readonly operation: string | null;
  readonly reference: string | null;
}

export interface AccountLine {
  readonly type: "account";
  readonly user: number;
  readonly balance: number;
  readonly held: number;
  readonly version: number;
}

export interface HoldLine {
  readonly type: "hold";
  readonly user: number;
  readonly id: string;
  readonly amount: number;
  readonly state: string;
  readonly captured: number | null;
}

export interface KeyLine {
  readonly type: "key";
  readonly user: number;
  readonly key: string;
  readonly refusal: string | null;
  readonly balance: number | null;
  readonly version: number | null;
}

/** What `balancectl verify` said. */
export interface VerifyLine {
  readonly type: "verify";
  readonly ok: boolean;
  readonly findings: readonly unknown[];
}

/** The lines by what they are. */
export interface History {
  readonly round: RoundLine;
  readonly questions: ReadonlyMap<number, QuestionLine>;
  /** By question, in the order in which they were sent. */
  readonly attempts: ReadonlyMap<number, readonly AttemptLine[]>;
  readonly events: readonly EventLine[];
  /** In the order of versions within each user. */
  readonly entries: readonly EntryLine[];
  readonly accounts: readonly AccountLine[];
  readonly holds: readonly HoldLine[];
  readonly keys: readonly KeyLine[];
  readonly verify: VerifyLine | undefined;
}

export function sortLines(lines: readonly Line[]): History {
  const [round] = lines;
  if (round?.type !== "round") throw new Error("a history begins with a line of type round");
  const of = <T extends Line["type"]>(type: T) =>
    lines.filter((line): line is Extract<Line, { type: T }> => line.type === type);
  const attempts = new Map<number, AttemptLine[]>();
  for (const attempt of of("attempt")) {
    const list = attempts.get(attempt.question);
    if (list) list.push(attempt);
    else attempts.set(attempt.question, [attempt]);
  }
  for (const list of attempts.values()) list.sort((a, b) => a.sentMs - b.sentMs);
  return {
    round,
    questions: new Map(of("question").map((question) => [question.id, question])),
    attempts,
    events: of("event"),
    entries: of("entry").sort((a, b) => a.user - b.user || a.version - b.version),
    accounts: of("account"),
    holds: of("hold"),
    keys: of("key"),
    verify: of("verify")[0],
  };
}
