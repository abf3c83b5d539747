/** The state machine of group commit, driven by hand: `apply` answers when the test says so. */
import { describe, expect, test, vi } from "vitest";
import { translateError } from "../../src/database/translate-error.ts";
import {
  type Batch,
  change,
  databaseError,
  driven,
  keyed,
  outcome,
  refusedOutcome,
  states,
  turn,
  watched,
} from "../support/driven-commit.ts";

// Nothing here takes time: a test that waits has lost an answer.
vi.setConfig({ testTimeout: 5_000 });

describe("batches", () => {
  test("one turn's requests leave together, without a timer", async () => {
    const { submit, batch } = driven();
    const answers = [submit(change(1, -1)), submit(change(2, -2)), submit(change(1, -3))];
    const first = await batch();
    expect(first.asked).toEqual(["1:-1", "2:-2", "1:-3"]);
    first.commit();
    expect(await states(answers)).toEqual(["balance -1", "balance -2", "balance -3"]);
  });

  test("one request alone leaves alone, in the same turn", async () => {
    const { submit, unseen } = driven();
    void submit(change(1, 1));
    expect(await unseen()).toBe(1);
  });

  test("what arrives while one is in flight shares the next, in the order of arrival", async () => {
    const { submit, batch, unseen } = driven();
    const answers = [1, 2, 3].map((user) => submit(change(user, user)));
    const first = await batch();
    for (const amount of [4, 5]) {
      answers.push(submit(change(1, amount)));
      await turn();
    }
    expect(await unseen()).toBe(0);
    first.commit();
    const second = await batch();
    expect(second.asked).toEqual(["1:4", "1:5"]);
    second.commit();
    expect(await states(answers)).toEqual([1, 2, 3, 4, 5].map((n) => `balance ${n}`));
  });

  test("when as many wait as are in flight, they leave behind it; a third waits for one to land", async () => {
    const { submit, batch, unseen } = driven();
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    const first = await batch();
    answers.push(submit(change(1, 3)));
    expect(await unseen()).toBe(0);
    answers.push(submit(change(1, 4)));
    const second = await batch();
    expect(second.asked).toEqual(["1:3", "1:4"]);
    for (let amount = 5; amount <= 9; amount++) answers.push(submit(change(1, amount)));
    expect(await unseen()).toBe(0);
    first.commit();
    // Half of the two in flight and the five that wait.
    const third = await batch();
    expect(third.asked).toEqual(["1:5", "1:6", "1:7", "1:8"]);
    second.commit();
    expect(await unseen()).toBe(0);
    third.commit();
    (await batch()).commit();
    expect(await states(answers)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `balance ${n}`));
  });

  test("callers that come back at once end in two halves, whatever they began with", async () => {
    const { submit, batch } = driven();
    const call = (count: number) => {
      for (let n = 0; n < count; n++) void submit(change(1, 1));
    };
    const sizes: number[] = [];
    call(4);
    let [landing, following] = [await batch(), undefined as Batch | undefined];
    call(60);
    for (let n = 0; n < 6; n++) {
      following = await batch();
      sizes.push(following.asked.length);
      landing.commit();
      await turn();
      call(landing.asked.length);
      landing = following;
    }
    expect(sizes).toEqual([32, 32, 32, 32, 32, 32]);
  });

  test("a burst is not held back: an idle lane takes all of it, and a busy one half", async () => {
    const { submit, batch } = driven();
    void submit(change(1, 1));
    const first = await batch();
    for (let n = 0; n < 9; n++) void submit(change(1, 1));
    const sizes: number[] = [];
    first.commit();
    for (let n = 0; n < 2; n++) {
      const next = await batch();
      sizes.push(next.asked.length);
      next.commit();
    }
    expect(sizes).toEqual([5, 4]);
    await turn();
    for (let n = 0; n < 9; n++) void submit(change(1, 1));
    expect((await batch()).asked.length).toBe(9);
  });

  test("a full one leaves while its turn still lasts", () => {
    const { submit, unseenNow } = driven({ batchSizeMax: 3 });
    void submit(change(1, 1));
    void submit(change(1, 2));
    expect(unseenNow()).toBe(0);
    void submit(change(1, 3));
    expect(unseenNow()).toBe(1);
    void submit(change(1, 4));
    expect(unseenNow()).toBe(1);
  });

  test("no larger than batchSizeMax, the rest next", async () => {
    const { submit, batch } = driven({ batchSizeMax: 3 });
    const answers = Array.from({ length: 8 }, (_, n) => submit(change(1, n + 1)));
    const sizes: string[][] = [];
    for (let n = 0; n < 3; n++) {
      const one = await batch();
      sizes.push(one.asked);
      one.commit();
    }
    expect(sizes).toEqual([
      ["1:1", "1:2", "1:3"],
      ["1:4", "1:5", "1:6"],
      ["1:7", "1:8"],
    ]);
    await Promise.all(answers);
  });

  test("of one operation each when batchSizeMax is 1", async () => {
    const { submit, batch } = driven({ batchSizeMax: 1 });
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    for (const asked of [["1:1"], ["1:2"]]) {
      const one = await batch();
      expect(one.asked).toEqual(asked);
      one.commit();
    }
    await Promise.all(answers);
  });

  test("an operation with legs weighs what it carries and is not split", async () => {
    const { submit, batch } = driven({ batchSizeMax: 3 });
    const legs = [change(1, 0), change(1, 0)];
    const answers = [submit(change(1, 1)), submit(change(1, 2, { legs })), submit(change(1, 3))];
    const seen: string[][] = [];
    for (let n = 0; n < 3; n++) {
      const one = await batch();
      seen.push(one.asked);
      one.commit();
    }
    expect(seen).toEqual([["1:1"], ["1:2"], ["1:3"]]);
    await Promise.all(answers);
  });

  test("an operation larger than batchSizeMax flies alone instead of never", async () => {
    const { submit, batch } = driven({ batchSizeMax: 2 });
    const legs = [change(1, 0), change(1, 0), change(1, 0)];
    const answer = submit(change(1, 1, { legs }));
    (await batch()).commit();
    expect((await answer).balance).toBe(1);
  });

  test("nothing is answered before its own batch is", async () => {
    const { submit, batch } = driven({ batchSizeMax: 1 });
    const first = watched(submit(change(1, 1)));
    const second = watched(submit(change(1, 2)));
    const flying = await batch();
    expect([first.seen.state, second.seen.state]).toEqual(["waiting", "waiting"]);
    flying.commit();
    await first.done;
    const next = await batch();
    expect([first.seen.state, second.seen.state]).toEqual(["balance 1", "waiting"]);
    next.commit();
    await second.done;
  });
});

describe("lanes", () => {
  /** As many users as the first lane has room for. */
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  test("are filled one after another, and one does not wait for another", async () => {
    const { submit, batch, unseen } = driven({ lanes: 2 });
    const inFirst = hundred.map((user) => submit(change(user, user)));
    const inSecond = [submit(change(101, 1)), submit(change(102, 1))];
    const first = await batch();
    const second = await batch();
    expect(first.asked).toEqual(hundred.map((user) => `${user}:${user}`));
    expect(second.asked).toEqual(["101:1", "102:1"]);
    // While something of theirs is pending, users keep to their lane.
    inFirst.push(submit(change(1, 2)));
    inSecond.push(submit(change(101, 2)));
    expect(await unseen()).toBe(0);
    second.commit();
    const next = await batch();
    expect(next.asked).toEqual(["101:2"]);
    expect(await unseen()).toBe(0);
    next.commit();
    expect(await states(inSecond)).toEqual(["balance 1", "balance 1", "balance 2"]);
    first.commit();
    const last = await batch();
    expect(last.asked).toEqual(["1:2"]);
    last.commit();
    await Promise.all(inFirst);
  });

  test("when all are full, the emptiest", async () => {
    const { submit, batch } = driven({ lanes: 2 });
    for (let user = 1; user <= 203; user++) void submit(change(user, 1));
    const sizes = [(await batch()).asked.length, (await batch()).asked.length];
    expect(sizes).toEqual([102, 101]);
  });

  test("one that has stalled takes no new users; its own wait", async () => {
    const { submit, batch, unseen } = driven({ lanes: 2 });
    void submit(change(1, 1));
    void submit(change(1, 1));
    const stalled = await batch();
    const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 21);
    try {
      void submit(change(2, 1));
      const other = await batch();
      expect(other.asked).toEqual(["2:1"]);
      void submit(change(1, 2));
      expect(await unseen()).toBe(0);
      stalled.commit();
      expect((await batch()).asked).toEqual(["1:2"]);
    } finally {
      clock.mockRestore();
    }
  });

  test("a user stays in one", async () => {
    const { submit, batch, unseen } = driven({ lanes: 4 });
    for (let n = 1; n <= 20; n++) void submit(change(7, n));
    const first = await batch();
    expect(first.asked.length).toBe(20);
    void submit(change(7, 21));
    expect(await unseen()).toBe(0);
  });

  test("a transfer rides with the lower id, whoever pays", async () => {
    const { submit, batch, unseen } = driven({ lanes: 4 });
    void submit(change(5, 1, { kind: "transfer", toUserId: 6 }));
    void submit(change(6, 2, { kind: "transfer", toUserId: 5 }));
    void submit(change(5, 3));
    expect((await batch()).asked).toEqual(["5:1", "6:2", "5:3"]);
    expect(await unseen()).toBe(0);
  });

  test("take ids up to 2^53 - 1", async () => {
    const { submit, batch } = driven({ lanes: 3 });
    void submit(change(Number.MAX_SAFE_INTEGER, 1));
    expect((await batch()).asked).toEqual(["9007199254740991:1"]);
  });
});

describe("bounds", () => {
  test("waitingMax fit, one more is OVERLOADED at once", async () => {
    const { submit, batch } = driven({ waitingMax: 5 });
    const answers = Array.from({ length: 5 }, (_, n) => submit(change(1, n + 1)));
    const sixth = watched(submit(change(1, 6)));
    await sixth.done;
    expect(sixth.seen.state).toBe("OVERLOADED");
    (await batch()).commit();
    expect(await states(answers)).toEqual([1, 2, 3, 4, 5].map((n) => `balance ${n}`));
  });

  test("what is in flight counts until it is answered", async () => {
    const { submit, batch } = driven({ waitingMax: 2, batchSizeMax: 1 });
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    const first = await batch();
    expect(await states([submit(change(1, 3))])).toEqual(["OVERLOADED"]);
    first.commit();
    const second = await batch();
    answers.push(submit(change(1, 4)));
    expect(await states([submit(change(1, 5))])).toEqual(["OVERLOADED"]);
    second.commit();
    (await batch()).commit();
    expect(await states(answers)).toEqual(["balance 1", "balance 2", "balance 4"]);
  });

  test("hold for all lanes together", async () => {
    const { submit, batch } = driven({ waitingMax: 2, lanes: 4 });
    void submit(change(1, 1));
    void submit(change(2, 1));
    expect(await states([submit(change(3, 1))])).toEqual(["OVERLOADED"]);
    expect((await batch()).asked).toEqual(["1:1", "2:1"]);
  });

  test("legs count one each", async () => {
    const { submit } = driven({ waitingMax: 3 });
    const legs = [change(1, 0), change(1, 0), change(1, 0)];
    expect(await states([submit(change(1, 1, { legs }))])).toEqual(["OVERLOADED"]);
    void submit(change(1, 1, { legs: legs.slice(1) }));
    expect(await states([submit(change(1, 1))])).toEqual(["OVERLOADED"]);
  });

  test("a failed batch gives its room back", async () => {
    const { submit, batch, drained } = driven({ waitingMax: 2 });
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    (await batch()).fail(databaseError("57P01"));
    expect(await states(answers)).toEqual(["DATABASE_UNAVAILABLE", "DATABASE_UNAVAILABLE"]);
    await drained();
    const again = [submit(change(1, 3)), submit(change(1, 4))];
    (await batch()).commit();
    expect(await states(again)).toEqual(["balance 3", "balance 4"]);
  });
});

describe("deadlines", () => {
  const soon = { leaveWithinMs: 40 };

  test("who cannot leave in time is told that nothing was changed, and gives the room back", async () => {
    const { submit, batch, state, drained } = driven({ ...soon, waitingMax: 4 });
    const flying = [submit(change(1, 1)), submit(change(1, 2)), submit(change(1, 3))];
    const silent = await batch();
    const waiting = watched(submit(change(1, 4)));
    await waiting.done;
    expect(waiting.seen.state).toBe("DATABASE_UNAVAILABLE");
    expect(state()).toMatchObject({ waiting: 0, inFlight: 3 });
    const late = submit(change(2, 5)).catch((error) => error);
    expect(await late).toMatchObject({
      ...{ code: "DATABASE_UNAVAILABLE", applied: "no" },
      message:
        "The database took too long with what came before this change; nothing was changed, try again later",
    });
    // What has left has, however long it takes.
    silent.commit();
    expect(await states(flying)).toEqual(["balance 1", "balance 2", "balance 3"]);
    await drained();
    const next = submit(change(1, 6));
    (await batch()).commit();
    expect(await states([next])).toEqual(["balance 6"]);
  });

  test("who is to go alone and has no time left does not", async () => {
    const { submit, batch, unseen } = driven(soon);
    const answers = [submit(change(1, 1)), submit(change(2, 2))];
    const both = await batch();
    both.fail(databaseError("57014"));
    const first = await batch();
    const waiting = watched(submit(change(3, 3)));
    await waiting.done;
    first.fail(databaseError("57014"));
    expect(await states(answers)).toEqual(["DATABASE_UNAVAILABLE", "DATABASE_UNAVAILABLE"]);
    expect(await unseen()).toBe(0);
  });

  test("who is in time hears nothing of it", async () => {
    const { submit, batch } = driven(soon);
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    const first = await batch();
    answers.push(submit(change(1, 3)));
    first.commit();
    (await batch()).commit();
    expect(await states(answers)).toEqual(["balance 1", "balance 2", "balance 3"]);
  });
});

describe("idempotency keys", () => {
  test("one key is never twice in a batch; the later use comes next", async () => {
    const { submit, batch } = driven();
    const answers = [
      submit(keyed(1, 1, "a")),
      submit(keyed(1, 2, "a")),
      submit(keyed(1, 3, "b")),
      submit(keyed(1, 4, "a")),
    ];
    const seen: string[][] = [];
    for (let n = 0; n < 3; n++) {
      const one = await batch();
      seen.push(one.asked);
      one.commit();
    }
    expect(seen).toEqual([["1:1", "1:3"], ["1:2"], ["1:4"]]);
    await Promise.all(answers);
  });

  test("are a user's own; openings share a scope", async () => {
    const { submit, batch } = driven();
    void submit(keyed(1, 1, "a"));
    void submit(keyed(2, 2, "a"));
    void submit(keyed(3, 3, "a", { kind: "opening" }));
    void submit(keyed(4, 4, "a", { kind: "opening" }));
    const first = await batch();
    expect(first.asked).toEqual(["1:1", "2:2", "3:3"]);
    first.commit();
    expect((await batch()).asked).toEqual(["4:4"]);
  });

  test("a twin that waits keeps its place before what came after it", async () => {
    const { submit, batch } = driven({ batchSizeMax: 2 });
    const waiting = [
      submit(keyed(1, 1, "a")),
      submit(keyed(1, 2, "a")),
      submit(change(1, 3)),
      submit(change(1, 4)),
      submit(change(1, 5)),
    ];
    const seen: string[][] = [];
    for (let n = 0; n < 4; n++) {
      const one = await batch();
      seen.push(one.asked);
      one.commit();
    }
    // The first is full by count when it leaves, and leaves its twin behind, which follows at once.
    expect(seen).toEqual([["1:1"], ["1:2"], ["1:3", "1:4"], ["1:5"]]);
    await Promise.all(waiting);
  });
});

describe("failures", () => {
  test("of the connection fail the batch as a whole and are not repeated", async () => {
    const { submit, batch, unseen } = driven();
    const answers = [submit(change(1, 1)), submit(change(2, 2))];
    (await batch()).fail(translateError(new Error("terminated"), true));
    expect(await states(answers)).toEqual(["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]);
    expect(await unseen()).toBe(0);
  });

  test.each(["22P05", "23505"])(
    "over data (%s) are looked for: each operation once more, alone",
    async (state) => {
      const { submit, batch, unseen } = driven();
      const answers = [submit(change(1, 1)), submit(change(2, 2)), submit(change(3, 3))];
      (await batch()).fail(databaseError(state));
      const alone = await batch();
      expect(alone.asked).toEqual(["1:1"]);
      alone.commit();
      const guilty = await batch();
      expect(guilty.asked).toEqual(["2:2"]);
      guilty.fail(databaseError(state));
      const last = await batch();
      expect(last.asked).toEqual(["3:3"]);
      last.commit();
      expect(await states(answers)).toEqual(["balance 1", "INTERNAL", "balance 3"]);
      expect(await unseen()).toBe(0);
    },
  );

  test.each(["40001", "40P01"])("with others (%s): alone, up to five times", async (state) => {
    const { submit, batch, unseen } = driven();
    const answers = [submit(change(1, 1)), submit(change(2, 2))];
    (await batch()).fail(databaseError(state));
    for (let n = 0; n < 4; n++) (await batch()).fail(databaseError(state));
    const fifth = await batch();
    expect(fifth.asked).toEqual(["1:1"]);
    fifth.commit();
    for (let n = 0; n < 5; n++) {
      const other = await batch();
      expect(other.asked).toEqual(["2:2"]);
      other.fail(databaseError(state));
    }
    expect(await states(answers)).toEqual(["balance 1", "DATABASE_UNAVAILABLE"]);
    expect(await unseen()).toBe(0);
  });

  test("of time (57014): each of several once more, alone", async () => {
    const { submit, batch, unseen } = driven();
    const answers = [submit(change(1, 1)), submit(change(2, 2))];
    (await batch()).fail(databaseError("57014"));
    (await batch()).fail(databaseError("57014"));
    const second = await batch();
    expect(second.asked).toEqual(["2:2"]);
    second.commit();
    expect(await states(answers)).toEqual(["DATABASE_UNAVAILABLE", "balance 2"]);
    expect(await unseen()).toBe(0);
  });

  test.each(["57014", "57P01", "53300", "08006", "40003", "XX000"])(
    "of other kinds (%s) are not repeated",
    async (state) => {
      const { submit, batch, unseen } = driven();
      const answer = watched(submit(change(1, 1)));
      (await batch()).fail(databaseError(state));
      await answer.done;
      const unclear = ["08006", "40003"].includes(state) ? "OUTCOME_UNKNOWN" : undefined;
      const failed = state === "XX000" ? "INTERNAL" : "DATABASE_UNAVAILABLE";
      expect(answer.seen.state).toBe(unclear ?? failed);
      expect(await unseen()).toBe(0);
    },
  );

  test("do not stop the lane", async () => {
    const { submit, batch } = driven({ batchSizeMax: 1 });
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    (await batch()).fail(databaseError("57P01"));
    (await batch()).commit();
    expect(await states(answers)).toEqual(["DATABASE_UNAVAILABLE", "balance 2"]);
  });

  test("an outcome that is missing is not known, never a success", async () => {
    const { submit, batch } = driven();
    const answers = [submit(change(1, 1)), submit(change(1, 2))];
    (await batch()).answer([outcome(change(1, 1))]);
    expect(await states(answers)).toEqual(["balance 1", "OUTCOME_UNKNOWN"]);
  });

  test("of an observer do not reach those who asked, nor stop the lane", async () => {
    const broken = () => {
      throw new Error("metrics are broken");
    };
    const { submit, batch, drained } = driven({
      batchSizeMax: 1,
      observers: [{ batchCommitted: broken, batchFailed: broken }],
    });
    const answers = [submit(change(1, 1)), submit(change(1, 2)), submit(change(1, 3))];
    (await batch()).commit();
    (await batch()).fail(databaseError("57P01"));
    (await batch()).commit();
    expect(await states(answers)).toEqual(["balance 1", "DATABASE_UNAVAILABLE", "balance 3"]);
    await drained();
  });
});

describe("observers", () => {
  test("hear of each batch, committed or failed, also behind one that fails", async () => {
    const heard: unknown[] = [];
    const broken = () => {
      throw new Error("metrics are broken");
    };
    const { submit, batch, drained } = driven({
      lanes: 2,
      observers: [
        { batchCommitted: broken, batchFailed: broken },
        {
          batchCommitted: ({ lane, operations, durationMs }) =>
            heard.push({ lane, operations, timed: durationMs >= 0 }),
          batchFailed: ({ lane, operations, error }) => heard.push({ lane, operations, error }),
        },
      ],
    });
    const error = databaseError("57P01");
    const made = [submit(change(1, 1)), submit(change(3, 1))];
    (await batch()).commit();
    await Promise.all(made);
    const failed = submit(change(2, 1));
    (await batch()).fail(error);
    expect(await states([failed])).toEqual(["DATABASE_UNAVAILABLE"]);
    await drained();
    expect(heard).toEqual([
      { lane: 0, operations: 2, timed: true },
      { lane: 0, operations: 1, error },
    ]);
  });

  test("hear how many were refused, and why, and how many were replays", async () => {
    const heard: unknown[] = [];
    const { submit, batch } = driven({
      observers: [
        {
          batchCommitted: ({ operations, replays, refusals }) =>
            heard.push({ operations, replays, refusals: Object.fromEntries(refusals) }),
        },
      ],
    });
    const answers = [1, 2, 3, 4, 5].map((n) => submit(change(n, 1)));
    (await batch()).answer([
      outcome(change(1, 1)),
      refusedOutcome("INSUFFICIENT_FUNDS"),
      refusedOutcome("INSUFFICIENT_FUNDS"),
      refusedOutcome("USER_NOT_FOUND"),
      { ...refusedOutcome("INSUFFICIENT_FUNDS"), replayed: true },
    ]);
    await Promise.all(answers);
    const refusals = { INSUFFICIENT_FUNDS: 2, USER_NOT_FOUND: 1 };
    expect(heard).toEqual([{ operations: 5, replays: 1, refusals }]);
  });
});

test("the state says what waits and what flies, by lane", async () => {
  const { submit, batch, state, drained } = driven({ lanes: 2 });
  expect(state()).toEqual({ waiting: 0, inFlight: 0, lanes: [] });
  void submit(change(1, 1));
  void submit(change(2, 1));
  expect(state()).toMatchObject({ waiting: 2, inFlight: 0 });
  const first = await batch();
  void submit(change(1, 1));
  await turn();
  const lanes = [{ lane: 0, waiting: 1, inFlight: 2 }];
  expect(state()).toEqual({ waiting: 1, inFlight: 2, lanes });
  first.commit();
  (await batch()).commit();
  await drained();
  expect(state()).toEqual({ waiting: 0, inFlight: 0, lanes: [] });
});

describe("drained", () => {
  test("at once when nothing is asked", async () => {
    await driven().drained();
  });

  test("only when every lane has answered everything", async () => {
    const { submit, batch, drained } = driven({ lanes: 2 });
    const answers = Array.from({ length: 101 }, (_, index) => submit(change(index + 1, 1)));
    let done = false;
    const end = drained().then(() => {
      done = true;
    });
    const [full, other] = [await batch(), await batch()];
    other.commit();
    answers.push(submit(change(1, 2)));
    full.commit();
    const last = await batch();
    await turn();
    expect(done).toBe(false);
    last.commit();
    await end;
    expect(new Set(await states(answers))).toEqual(new Set(["balance 1", "balance 2"]));
  });

  test("also when the last has landed before its turn has ended", async () => {
    const { submit, batch, drained } = driven();
    void submit(change(1, 1));
    const first = await batch();
    const last = submit(change(1, 2));
    const end = drained();
    first.commit();
    // It left when the first landed, in the turn at whose end it would have left.
    (await batch()).commit();
    await end;
    expect((await last).balance).toBe(2);
  });

  test("also when all that was asked for failed", async () => {
    const { submit, batch, drained } = driven();
    const answer = watched(submit(change(1, 1)));
    const end = drained();
    (await batch()).fail(new Error("no"));
    await end;
    await answer.done;
    expect(answer.seen.state).toBe("Error: no");
  });
});
