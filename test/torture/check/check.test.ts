/** The check of a history finds what is planted, and nothing where nothing is. */
import { describe, expect, test } from "vitest";
import { type AttemptLine, type EntryLine, type Line, sortLines } from "../history/history.ts";
import { check, isClean } from "./check.ts";
import { type Asked, createStory, type Story } from "./story.ts";

const [a, b, c] = [101, 102, 103];

/** Three users with 100 each; what was asked of them is in the journal and nowhere else. */
function begun(): Story {
  const story = createStory();
  for (const user of [a, b, c]) story.ask({ kind: "opening", user, amount: 100 });
  return story;
}

function found(lines: readonly Line[]): string[] {
  return check(sortLines(lines)).findings.map(({ class: kind, text }) => `${kind}: ${text}`);
}

/** What a look-up says of the newest entry of its user. */
function lookedUp(story: Story, user = a): Partial<AttemptLine> {
  const entries = story.lines().filter((line) => line.type === "entry" && line.user === user);
  const { version, balance } = entries.at(-1) as EntryLine;
  return { status: 200, data: { outcome: "applied", version, balance } };
}

/** The lines, one of them changed. */
function changed<T extends Line>(
  lines: readonly Line[],
  of: (line: Line) => boolean,
  to: Partial<T>,
) {
  expect(lines.filter(of)).toHaveLength(1);
  return lines.map((line) => (of(line) ? { ...line, ...to } : line)) as Line[];
}

const no: Partial<AttemptLine> = { status: 503, code: "DATABASE_UNAVAILABLE", applied: "no" };
const unknown: Partial<AttemptLine> = { status: 424, code: "OUTCOME_UNKNOWN", applied: "unknown" };
const lost: Partial<AttemptLine> = { status: 0, lostBy: "ECONNRESET" };
const insufficient: Partial<AttemptLine> = { status: 422, code: "INSUFFICIENT_FUNDS" };
const withdrawal: Asked = { kind: "adjust", user: a, amount: -10 };
const keyed: Asked = { ...withdrawal, key: "k" };

describe("a clean history", () => {
  test("of every kind passes", () => {
    const story = begun();
    story.ask(withdrawal);
    story.ask({ kind: "read", user: a });
    story.ask({ kind: "transfer", user: a, to: b, amount: 20 });
    const legs = [
      { to: b, amount: 1 },
      { to: c, amount: 2 },
      { to: b, amount: 3 },
    ];
    story.ask({ kind: "batch", user: a, amount: 6, legs, key: "batch" });
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    const other = story.ask({ kind: "hold", user: b, amount: 5 });
    story.ask({ kind: "capture", user: a, hold: `id-t${hold}`, holdAmount: 30, amount: 7, to: c });
    story.ask({ kind: "void", user: b, hold: `id-t${other}`, holdAmount: 5 });
    story.ask(
      { kind: "void", user: b, hold: `id-t${other}`, holdAmount: 5 },
      { times: 0, attempt: { status: 409, code: "HOLD_CLOSED" } },
    );
    story.ask({ kind: "adjust", user: a, amount: -500 }, { times: 0, attempt: insufficient });
    const key = story.ask(keyed);
    story.ask({ kind: "lookup", user: a, about: key }, { attempt: lookedUp(story) });
    story.ask({ kind: "read", user: a });
    expect(found(story.lines())).toEqual([]);
    expect(check(sortLines(story.lines()))).toMatchObject({
      ...{ requests: 16, acknowledged: 11, fiveHundreds: 0, silent: 0 },
      ...{ unknownMade: 0, unknownNotMade: 0, waitMsMax: 500 },
    });
    expect(isClean(check(sortLines(story.lines())))).toBe(true);
  });

  test("may have what nobody knows, made or not", () => {
    const story = begun();
    story.ask(withdrawal, { attempt: unknown });
    story.ask(withdrawal, { attempt: lost, times: 0 });
    story.ask(withdrawal, { attempt: no, times: 0 });
    const twice = story.ask(keyed, { attempt: lost });
    const data = { balance: 80, previousBalance: 90, amount: -10 };
    story.again(twice, { status: 200, version: 3, replayed: true, data });
    expect(found(story.lines())).toEqual([]);
    expect(check(sortLines(story.lines()))).toMatchObject({ unknownMade: 1, unknownNotMade: 1 });
  });

  test("may see, of two that overlap, either first", () => {
    const story = begun();
    const sentMs = story.now();
    story.ask(withdrawal, { attempt: { doneMs: sentMs + 5_000 } });
    // Asked while the withdrawal is under way, and answered as it was before.
    const before = { version: 1, data: { id: a, balance: 100 } };
    story.ask({ kind: "read", user: a }, { attempt: before });
    story.ask({ kind: "read", user: a });
    expect(found(story.lines())).toEqual([]);
  });

  test("may refuse what at some moment between question and answer there was no money for", () => {
    const story = begun();
    const sentMs = story.now();
    const large: Asked = { kind: "adjust", user: a, amount: -95 };
    story.ask(withdrawal, { attempt: { sentMs, doneMs: sentMs + 9_000 } });
    story.ask(large, { times: 0, attempt: { ...insufficient, sentMs, doneMs: sentMs + 9_000 } });
    story.ask({ kind: "adjust", user: a, amount: 50 }, { attempt: { doneMs: sentMs + 9_000 } });
    expect(found(story.lines())).toEqual([]);
  });
});

describe("what became of a change", () => {
  test.each([
    ["a lost one", withdrawal, { times: 0 }, "lost: adjust t4: acknowledged, and not there"],
    ["a doubled one", withdrawal, { times: 2 }, "doubled: adjust t4: made 2 times"],
    [
      "a doubled one that nobody knew of",
      withdrawal,
      { times: 2, attempt: unknown },
      "doubled: adjust t4: made 2 times",
    ],
    [
      "one of which nothing was changed",
      withdrawal,
      { attempt: no },
      'wrong: adjust t4: "nothing was changed", and it was made',
    ],
    [
      "one that was refused",
      { kind: "adjust", user: a, amount: -1 },
      { attempt: insufficient },
      'wrong: adjust t4: "INSUFFICIENT_FUNDS", and it was made',
    ],
    [
      "one whose server could not even be reached",
      withdrawal,
      { attempt: { status: 0, lostBy: "ECONNREFUSED" } },
      'wrong: adjust t4: "nothing was changed", and it was made',
    ],
    [
      "one with an answer that nobody should get",
      withdrawal,
      { times: 0, attempt: { status: 400, code: "INVALID_REQUEST" } },
      "wrong: adjust t4: an answer that no request gets",
    ],
  ] as const)("%s is found", (_what, asked, twist, finding) => {
    const story = begun();
    story.ask(asked, twist);
    expect(found(story.lines())).toContain(finding);
  });

  test.each([
    ["acknowledged", {}],
    ["unknown", { attempt: unknown }],
  ])("half of a batch is found, be it %s", (_what, twist) => {
    const story = begun();
    const legs = [
      { to: b, amount: 1 },
      { to: c, amount: 2 },
    ];
    story.ask({ kind: "batch", user: a, amount: 3, legs }, twist);
    const torn = story
      .lines()
      .filter((line) => line.type !== "entry" || line.user !== c || line.version < 2);
    expect(found(torn)).toContain("wrong: batch t4: the journal has a part of it");
  });

  test("an entry that nobody asked for is found", () => {
    const story = begun();
    story.ask(withdrawal);
    const lines = story.lines().filter(({ type }) => type !== "question" && type !== "attempt");
    expect(found(lines)).toContain("wrong: version 2, adjustment, reference t4: nobody asked");
  });

  test("a key that is refused and applied is found", () => {
    const story = begun();
    const question = story.ask(keyed);
    story.again(question, { ...insufficient, replayed: true });
    expect(found(story.lines())).toContain(
      "wrong: adjust t4: applied, and INSUFFICIENT_FUNDS under its key",
    );
  });
});

describe("the order of an account", () => {
  test("a stale read is found", () => {
    const story = begun();
    story.ask(withdrawal);
    const before = { version: 1, data: { id: a, balance: 100 } };
    story.ask({ kind: "read", user: a }, { attempt: before });
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: version 1 with 100, which at no moment it was",
    ]);
  });

  test("a read from the future is found", () => {
    const story = begun();
    const ahead = { version: 2, data: { id: a, balance: 90 } };
    story.ask({ kind: "read", user: a }, { attempt: ahead });
    story.ask(withdrawal);
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: version 2 with 90, which at no moment it was",
    ]);
  });

  test("reads that go back, of a change that is still under way, are found", () => {
    const story = begun();
    const sentMs = story.now();
    story.ask(withdrawal, { attempt: { doneMs: sentMs + 9_000 } });
    story.ask({ kind: "read", user: a });
    const before = { version: 1, data: { id: a, balance: 100 } };
    story.ask({ kind: "read", user: a }, { attempt: before });
    const [finding, ...more] = found(story.lines());
    expect(finding).toMatch(/^wrong: (version 2, adjust t4: not before|read or refused: version)/);
    expect(more).toEqual([]);
  });

  test("a read of a version with the balance of another is found", () => {
    const story = begun();
    story.ask(withdrawal);
    story.ask({ kind: "read", user: a }, { attempt: { data: { id: a, balance: 91 } } });
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: version 2 with 91, which at no moment it was",
    ]);
  });

  test("a read of the middle of a capture is found", () => {
    const story = begun();
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    story.ask({ kind: "capture", user: a, hold: `id-t${hold}`, holdAmount: 30, amount: 7 });
    const between = { version: 3, data: { id: a, balance: 100 } };
    story.ask({ kind: "read", user: a }, { attempt: between });
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: version 3 with 100, which at no moment it was",
    ]);
  });

  test("a refusal while there was money enough is found", () => {
    const story = begun();
    story.ask(withdrawal, { times: 0, attempt: insufficient });
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: adjust t4 INSUFFICIENT_FUNDS, which at no moment it was",
    ]);
  });

  test("a refusal for a version that was there all the time is found", () => {
    const story = begun();
    const failed = { status: 412, code: "PRECONDITION_FAILED" };
    story.ask({ ...withdrawal, ifVersion: 1 }, { times: 0, attempt: failed });
    expect(found(story.lines())).toHaveLength(1);
    const good = begun();
    good.ask({ ...withdrawal, ifVersion: 7 }, { times: 0, attempt: failed });
    expect(found(good.lines())).toEqual([]);
  });

  test("a hold that is called closed before anybody closed it is found", () => {
    const story = begun();
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    const closing: Asked = { kind: "void", user: a, hold: `id-t${hold}`, holdAmount: 30 };
    const closed = { status: 409, code: "HOLD_CLOSED" };
    story.ask(closing, { times: 0, attempt: closed });
    story.ask(closing);
    expect(found(story.lines())).toEqual([
      "wrong: read or refused: void t5 HOLD_CLOSED, which at no moment it was",
    ]);
  });

  test("two changes whose versions are against real time are found", () => {
    const story = begun();
    const first = story.ask(withdrawal);
    const second = story.ask({ kind: "adjust", user: a, amount: 10 });
    // Each has the time of the other.
    const times = (question: number) => {
      const { sentMs, doneMs } = story
        .lines()
        .find((line) => line.type === "attempt" && line.question === question) as AttemptLine;
      return { sentMs, doneMs };
    };
    const of = (question: number) => (line: Line) =>
      line.type === "attempt" && line.question === question;
    const swapped = changed(changed(story.lines(), of(first), times(second)), of(second), {
      ...times(first),
    });
    expect(found(swapped)).toEqual([
      "wrong: version 2, adjust t4: not before 4000.0 ms by those before it, and not after " +
        "3500.0 ms by those after it",
    ]);
  });

  test("a change that somebody tore apart is found", () => {
    const story = begun();
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    story.ask({ kind: "capture", user: a, hold: `id-t${hold}`, holdAmount: 30, amount: 7 });
    story.ask(withdrawal);
    const lines = story.lines().map((line): Line => {
      if (line.type !== "entry" || line.user !== a || line.version < 4) return line;
      return { ...line, version: line.version === 4 ? 5 : 4 };
    });
    expect(found(lines)).toContain("wrong: version 5: t5 is torn apart by others");
  });
});

describe("an answer", () => {
  test.each([
    ["another version", { version: 3 }, "ETag 3, not 2"],
    [
      "another balance",
      { data: { balance: 91, previousBalance: 100, amount: -10 } },
      "balance 91, not 90",
    ],
    [
      "another balance before",
      { data: { balance: 90, previousBalance: 99, amount: -10 } },
      "previousBalance 99, not 100",
    ],
    [
      "another amount",
      { data: { balance: 90, previousBalance: 100, amount: -11 } },
      "amount -11, not -10",
    ],
  ])("with %s is found", (_what, attempt, text) => {
    const story = begun();
    story.ask(withdrawal, { attempt });
    expect(found(story.lines())).toEqual([`wrong: adjust t4: ${text}`]);
  });

  test("that is replayed with another balance is found", () => {
    const story = begun();
    const question = story.ask(keyed);
    const data = { balance: 80, previousBalance: 100, amount: -10 };
    story.again(question, { status: 200, version: 2, replayed: true, data });
    expect(found(story.lines())).toEqual(["wrong: adjust t4: balance 80, not 90"]);
  });

  test("to a condition that was not kept is found", () => {
    const story = begun();
    story.ask({ ...withdrawal, ifVersion: 7 });
    story.ask({ ...withdrawal, minBalance: 85 });
    expect(found(story.lines())).toEqual([
      "wrong: adjust t4: If-Match 7, not 1",
      "wrong: adjust t5: minBalance 85, not 80",
    ]);
  });

  test("with the id of another transfer is found", () => {
    const story = begun();
    story.ask(
      { kind: "transfer", user: a, to: b, amount: 20 },
      { attempt: { data: { id: "x", balance: 80 } } },
    );
    expect(found(story.lines())[0]).toBe('wrong: transfer t4: id "x", not "id-t4"');
  });

  test("with a leg that is not in the journal is found", () => {
    const story = begun();
    const legs = [{ to: b, amount: 1 }];
    const transfers = [{ id: "id-t4-0", to: c, amount: 1 }];
    story.ask({ kind: "batch", user: a, amount: 1, legs }, { attempt: { data: { transfers } } });
    expect(found(story.lines())).toHaveLength(1);
  });

  test("of a capture with another rest is found", () => {
    const story = begun();
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    const id = `id-t${hold}`;
    const data = { id, amount: 30, captured: 7, released: 22, state: "captured", balance: 93 };
    const asked = { kind: "capture", user: a, hold: id, holdAmount: 30, amount: 7 } as const;
    story.ask(asked, { attempt: { data } });
    expect(found(story.lines())).toEqual(["wrong: capture t5: released 22, not 23"]);
  });
});

describe("a look-up", () => {
  const notFound: Partial<AttemptLine> = { status: 404, code: "OPERATION_NOT_FOUND" };
  const about = 4;
  const lookUp: Asked = { kind: "lookup", user: a, about };

  test("that finds nothing after the answer is found", () => {
    const story = begun();
    story.ask(keyed);
    story.ask(lookUp, { attempt: notFound });
    expect(found(story.lines())).toContain(
      "wrong: look-up of t4: not found, after it was answered",
    );
  });

  test("that finds nothing, of what was made after all, is found", () => {
    const story = begun();
    story.ask(keyed, { attempt: lost });
    story.ask(lookUp, { attempt: notFound });
    expect(found(story.lines())).toContain(
      "wrong: look-up of t4: not found when nobody asked any more, and it was made",
    );
  });

  test("that finds nothing is right when it was asked again later", () => {
    const story = begun();
    const question = story.ask(keyed, { attempt: lost });
    story.ask(lookUp, { attempt: notFound });
    const data = { balance: 90, previousBalance: 100, amount: -10 };
    story.again(question, { status: 200, version: 2, data });
    expect(found(story.lines())).toEqual([]);
  });

  test.each([
    [
      "another balance",
      { times: 1 },
      { version: 2, balance: 91, outcome: "applied" },
      "version 2, balance 91; its entry says otherwise",
    ],
    [
      "what is not there",
      { times: 0, attempt: lost },
      { version: 2, balance: 90, outcome: "applied" },
      "applied, and it is not there",
    ],
    [
      "a refusal of what is there",
      { times: 1 },
      { outcome: "INSUFFICIENT_FUNDS" },
      "INSUFFICIENT_FUNDS, and it was made",
    ],
  ])("that finds %s is found", (_what, twist, data, text) => {
    const story = begun();
    story.ask(keyed, twist);
    story.ask(lookUp, { attempt: { status: 200, data } });
    expect(found(story.lines())).toEqual([`wrong: look-up of t4: ${text}`]);
  });
});

describe("the tables", () => {
  const isAccount = (line: Line) => line.type === "account" && line.user === a;

  test.each([
    ["a balance", { balance: 91 }],
    ["a version", { version: 3 }],
    ["what is held", { held: 1 }],
  ])("with %s that nothing accounts for are found", (_what, to) => {
    const story = begun();
    story.ask(withdrawal);
    expect(found(changed(story.lines(), isAccount, to))[0]).toMatch(/^wrong: (balance|held) /);
  });

  test.each([
    ["a gap", { version: 3 }],
    ["a wrong sum", { balance: 89 }],
  ])("with %s in the journal are found", (_what, to) => {
    const story = begun();
    story.ask(withdrawal);
    const isEntry = (line: Line) => line.type === "entry" && line.user === a && line.version === 2;
    expect(found(changed(story.lines(), isEntry, to))).toContainEqual(
      expect.stringMatching(/^wrong: entry 2 is version /),
    );
  });

  test("with a hold that ended twice, or never began, are found", () => {
    const story = begun();
    const hold = story.ask({ kind: "hold", user: a, amount: 30 });
    const closing: Asked = { kind: "void", user: a, hold: `id-t${hold}`, holdAmount: 30 };
    story.ask(closing);
    story.ask(closing);
    expect(found(story.lines())).toContain(
      "wrong: hold id-t4, voided, 30: entries hold, void, void",
    );
    const without = begun();
    without.ask({ kind: "hold", user: a, amount: 30 });
    const lines = without.lines().filter(({ type }) => type !== "hold");
    expect(found(lines)).toContain("wrong: hold id-t4 has an entry and is not there");
  });

  test("with a change without its key, or a key without its change, are found", () => {
    const story = begun();
    story.ask(keyed);
    const without = story.lines().filter(({ type }) => type !== "key");
    expect(found(without)).toEqual(["wrong: key k: made, and its row is undefined"]);
    const other = begun();
    other.ask(keyed, { times: 0, attempt: unknown });
    const row: Line = { type: "key", user: a, key: "k", refusal: null, balance: 90, version: 2 };
    expect(found([...other.lines(), row])).toEqual(["wrong: key k is kept for what was not made"]);
  });

  test("that verify does not pass, or that nobody verified, are found", () => {
    const lines = begun().lines();
    const isVerify = ({ type }: Line) => type === "verify";
    expect(found(changed(lines, isVerify, { ok: false, findings: ["x"] }))).toEqual([
      'wrong: verify: ["x"]',
    ]);
    expect(found(lines.filter((line) => !isVerify(line)))).toEqual([
      "wrong: balancectl verify did not run",
    ]);
  });
});

describe("what is counted", () => {
  test.each([
    ["503 that says nothing", { status: 503, message: "The database is shutting down" }, 1, 0],
    ["503 that says so in words", { status: 503, message: "Gone; nothing was changed" }, 0, 0],
    ["503 that says so in a word for programs", no, 0, 0],
    ["424", unknown, 0, 0],
    ["500", { status: 500, code: "INTERNAL", message: "Internal error", applied: "no" }, 0, 1],
  ])("%s", (_what, attempt, silent, fiveHundreds) => {
    const story = begun();
    story.ask(withdrawal, { times: 0, attempt });
    const verdict = check(sortLines(story.lines()));
    expect(verdict).toMatchObject({ silent, fiveHundreds, findings: [] });
    expect(isClean(verdict)).toBe(silent + fiveHundreds === 0);
  });

  test("a silent answer to a read is none: it asked for no change", () => {
    const story = begun();
    story.ask({ kind: "read", user: a }, { attempt: { status: 503, message: "Gone" } });
    expect(check(sortLines(story.lines())).silent).toBe(0);
  });

  test("the longest recovery, from a healing to the last failure before the next fault", () => {
    const story = begun();
    const healed: Line = { type: "event", atMs: story.now(), what: "heal" };
    story.ask(withdrawal, { times: 0, attempt: no });
    story.ask(withdrawal);
    story.ask(withdrawal, { times: 0, attempt: no });
    const next: Line = { type: "event", atMs: story.now(), what: "inject" };
    story.ask(withdrawal, { times: 0, attempt: no });
    const verdict = check(sortLines([...story.lines(), healed, next]));
    expect(verdict.recoveryMsMax).toBe(2_500);
  });

  test.each(["died", "stuck"] as const)("a server that %s is a finding", (what) => {
    const lines: Line[] = [...begun().lines(), { type: "event", atMs: 1, what, text: "x" }];
    expect(found(lines)).toEqual([`wrong: ${what}: x`]);
  });
});
