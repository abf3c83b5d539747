/** Group commit where another session has locked accounts, driven by hand. */
import { describe, expect, test, vi } from "vitest";
import { change, databaseError, driven, states, turn } from "../support/driven-commit.ts";

// Nothing here takes time: a test that waits has lost an answer.
vi.setConfig({ testTimeout: 5_000 });

describe("accounts that another session has locked", () => {
  const unavailable = ["ACCOUNT_LOCKED"];

  test("are passed by: the rest of the batch is answered, and they wait in a lane of their own", async () => {
    const { submit, batch, unseen } = driven();
    const bystander = submit(change(2, 2));
    const waiting = [submit(change(1, 1))];
    const first = await batch();
    expect([first.lane, first.lockWait]).toEqual([0, "shared"]);
    // Boarded the shared lane before anybody knew.
    waiting.push(submit(change(1, 3)));
    first.fail(databaseError("55P03"));
    const again = await batch();
    expect([again.asked, again.lane, again.lockWait]).toEqual([["2:2", "1:1"], 0, "none"]);
    again.passBy(1);
    expect((await bystander).balance).toBe(2);
    const apart = await batch();
    expect([apart.asked, apart.lane]).toEqual([["1:1", "1:3"], 1]);
    expect(apart.lockWait).toBe(500);
    // Who comes later waits behind it, and nobody else does.
    waiting.push(submit(change(1, 4)));
    expect(await unseen()).toBe(0);
    void submit(change(2, 5));
    expect((await batch()).asked).toEqual(["2:5"]);
    apart.commit();
    (await batch()).commit();
    expect(await states(waiting)).toEqual(["balance 1", "balance 3", "balance 4"]);
  });

  test("are waited for until the lock timeout; after that only looked at, until they are free", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(0);
    try {
      const { submit, batch } = driven({ lockTimeoutMs: 50 });
      const first = submit(change(1, 1));
      (await batch()).fail(databaseError("55P03"));
      (await batch()).passBy(1);
      const apart = await batch();
      expect([apart.lane, apart.lockWait]).toEqual([1, 50]);
      const second = submit(change(1, 2));
      clock.mockReturnValue(50);
      apart.fail(databaseError("55P03"));
      (await batch()).passBy(1);
      expect(await states([first])).toEqual(unavailable);
      // Nobody waits for what somebody has waited for in vain.
      const behind = await batch();
      expect([behind.asked, behind.lockWait]).toEqual([["1:2"], "none"]);
      behind.passBy(1);
      expect(await states([second])).toEqual(unavailable);
      const asking = submit(change(1, 3));
      const look = await batch();
      expect([look.asked, look.lane, look.lockWait]).toEqual([["1:3"], 2, "none"]);
      look.passBy(1);
      expect(await states([asking])).toEqual(unavailable);
      // Another has looked just now; a tenth of a second later one may look again.
      expect(await states([submit(change(1, 4))])).toEqual(unavailable);
      clock.mockReturnValue(150);
      const free = submit(change(1, 4));
      (await batch()).commit();
      expect((await free).balance).toBe(4);
      // It may be waited for again; after five seconds it is an account like any other.
      const later = submit(change(1, 5));
      const next = await batch();
      expect([next.lane, next.lockWait]).toEqual([1, 50]);
      next.commit();
      await later;
      clock.mockReturnValue(5_151);
      void submit(change(1, 6));
      expect((await batch()).lane).toBe(0);
    } finally {
      clock.mockRestore();
    }
  });

  test("are waited for from when they were found locked: a wait behind others is none", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(0);
    try {
      const { submit, batch } = driven({ lockTimeoutMs: 50 });
      void submit(change(2, 1));
      const long = await batch();
      const first = submit(change(1, 2));
      clock.mockReturnValue(1_000);
      long.commit();
      (await batch()).fail(databaseError("55P03"));
      (await batch()).passBy(1);
      const apart = await batch();
      expect([apart.asked, apart.lockWait]).toEqual([["1:2"], 50]);
      apart.commit();
      expect((await first).balance).toBe(2);
    } finally {
      clock.mockRestore();
    }
  });

  test("a transfer and a batch wait for the one of their users who is locked", async () => {
    const { submit, batch } = driven({ lanes: 2 });
    void submit(change(5, 1));
    (await batch()).fail(databaseError("55P03"));
    (await batch()).passBy(5);
    const apart = await batch();
    void submit(change(4, 2, { kind: "transfer", toUserId: 5 }));
    void submit(change(6, 3, { kind: "transfer", toUserId: 7, legs: [change(5, 0)] }));
    void submit(change(4, 4));
    const shared = await batch();
    expect([shared.asked, shared.lane]).toEqual([["4:4"], 0]);
    apart.commit();
    const behind = await batch();
    expect([behind.asked, behind.lane]).toEqual([["4:2", "6:3"], 2]);
  });

  test("several in one lane wait no longer than a shared batch does", async () => {
    const { submit, batch } = driven();
    void submit(change(1, 1));
    void submit(change(2, 2));
    (await batch()).fail(databaseError("55P03"));
    (await batch()).passBy(1, 2);
    const apart = await batch();
    expect([apart.asked, apart.lane, apart.lockWait]).toEqual([["1:1", "2:2"], 1, "shared"]);
  });

  test("what is locked without being a user is tried alone, and waits as long", async () => {
    const { submit, batch } = driven();
    const answers = [submit(change(1, 1)), submit(change(2, 2))];
    (await batch()).fail(databaseError("55P03"));
    (await batch()).fail(databaseError("55P03"));
    (await batch()).fail(databaseError("55P03"));
    (await batch()).commit();
    const apart = await batch();
    expect([apart.asked, apart.lane]).toEqual([["1:1"], 1]);
    apart.commit();
    expect(await states(answers)).toEqual(["balance 1", "balance 2"]);
  });

  test("drained waits for them", async () => {
    const { submit, batch, drained } = driven();
    void submit(change(1, 1));
    (await batch()).fail(databaseError("55P03"));
    (await batch()).passBy(1);
    const apart = await batch();
    let isDrained = false;
    const done = drained().then(() => {
      isDrained = true;
    });
    await turn();
    expect(isDrained).toBe(false);
    apart.commit();
    await done;
  });
});
