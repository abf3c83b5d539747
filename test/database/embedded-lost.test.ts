/** A server that is lost under whoever uses it: how often it is tried again, and when not any more. */
import { expect, test } from "vitest";
import { keepRunning } from "../../src/database/embedded/keep-running.ts";
import type { Lease } from "../../src/database/embedded/lease.ts";
import { BalancectlError } from "../../src/errors.ts";

interface Held {
  readonly lease: Lease;
  lose(): void;
  readonly left: () => boolean;
}

function held(postmasterPid: number): Held {
  let lose = () => {};
  let left = false;
  const over = new Promise<void>((resolve) => {
    lose = resolve;
  });
  const leave = async (stop: () => Promise<void>) => {
    left = true;
    await stop();
  };
  const address = { host: "/nowhere", port: 5432, password: "", postmasterPid };
  return { lease: { ...address, over, leave }, lose, left: () => left };
}

const full = new BalancectlError("EMBEDDED_UNAVAILABLE", "The disk is full");
const lost = "The embedded PostgreSQL was lost; it is started again";
const notAgain = "The embedded PostgreSQL is not there again: The disk is full";
const again = "The embedded PostgreSQL is there again, after n ms";

function saying() {
  const said: string[] = [];
  const onLost = (line: string) => {
    said.push(line.replace(/\d+ ms/, "n ms"));
  };
  return { said, onLost };
}

test("is tried as often as was set, and then gone, with the last reason", async () => {
  const { said, onLost } = saying();
  const first = held(1);
  const reach = () => Promise.reject(full);
  const running = keepRunning(first.lease, { reach, onLost }, [0, 1, 1]);
  first.lose();
  expect(await running.gone).toBe(full);
  expect(said).toEqual([lost, notAgain, notAgain, notAgain]);
  // Nothing is left to leave.
  await running.leave(async () => expect.unreachable());
});

test("that comes back is what is left in the end", async () => {
  const { said, onLost } = saying();
  const servers = [held(1), held(2)];
  let tries = 0;
  let there = () => {};
  const back = new Promise<void>((resolve) => {
    there = resolve;
  });
  const reach = async () => {
    tries += 1;
    if (tries === 1) throw full;
    setImmediate(there);
    return (servers[1] as Held).lease;
  };
  const running = keepRunning((servers[0] as Held).lease, { reach, onLost }, [0, 1, 1]);
  servers[0]?.lose();
  await back;
  expect(said).toEqual([lost, notAgain, again]);
  const stopped: number[] = [];
  await running.leave(async ({ postmasterPid }) => {
    stopped.push(postmasterPid);
  });
  expect([stopped, servers.map(({ left }) => left())]).toEqual([[2], [false, true]]);
});

test("again and again is gone as well, although it starts each time", async () => {
  const { said, onLost } = saying();
  const first = held(1);
  const reach = async () => {
    const next = held(2);
    setImmediate(next.lose);
    return next.lease;
  };
  const running = keepRunning(first.lease, { reach, onLost }, [0, 0]);
  first.lose();
  expect((await running.gone).message).toBe("It was lost again and again");
  expect(said).toEqual([lost, again, lost, again, lost]);
});

test("is not waited for by whoever leaves", async () => {
  const { onLost } = saying();
  const first = held(1);
  const reach = (signal: AbortSignal) =>
    new Promise<Lease>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason)),
    );
  const running = keepRunning(first.lease, { reach, onLost }, [0, 60_000]);
  first.lose();
  await new Promise(setImmediate);
  await running.leave(async () => expect.unreachable());
});

test("stays lost where nobody wants it back", async () => {
  const first = held(1);
  const running = keepRunning(first.lease, undefined);
  first.lose();
  const stopped: number[] = [];
  await running.leave(async ({ postmasterPid }) => {
    stopped.push(postmasterPid);
  });
  expect(stopped).toEqual([1]);
});
