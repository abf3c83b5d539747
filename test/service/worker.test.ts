/** A worker that is told to stop before it has its orders. */
import { expect, test } from "vitest";
import { runWorker } from "../../src/service/worker.ts";
import type { ParentChannel } from "../../src/service/worker-channel.ts";

/** A main process that says these things, and hears what the worker says. */
function mainProcess(...says: object[]): { channel: ParentChannel; heard: unknown[] } {
  const heard: unknown[] = [];
  const channel: ParentChannel = {
    onMessage: (listener) => says.forEach(listener),
    send: (message) => heard.push(message),
  };
  return { channel, heard };
}

test("by its main process, it ends", async () => {
  const { channel, heard } = mainProcess({ say: "stop" });
  await runWorker(channel, new AbortController().signal);
  expect(heard).toEqual([{ say: "here" }]);
});

test("by a signal that came while it was starting, it ends", async () => {
  const { channel, heard } = mainProcess();
  await runWorker(channel, AbortSignal.abort());
  expect(heard).toEqual([{ say: "here" }]);
});
