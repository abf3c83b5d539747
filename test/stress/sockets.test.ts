import { describe, expect, it } from "vitest";
import { openInWindow } from "../../src/stress/sockets.ts";

describe("openInWindow", () => {
  it("opens each once, never more than the window at a time", async () => {
    const opened: number[] = [];
    let under = 0;
    let most = 0;
    await openInWindow(50, 8, new AbortController().signal, async (index) => {
      under++;
      most = Math.max(most, under);
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      opened.push(index);
    });
    expect(most).toBe(8);
    expect(opened.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it("stops when aborted", async () => {
    const abort = new AbortController();
    let opened = 0;
    await openInWindow(50, 1, abort.signal, async () => {
      opened++;
      if (opened === 3) abort.abort();
    });
    expect(opened).toBe(3);
  });

  it("does not wait for what is under way when aborted", async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 10);
    await openInWindow(50, 8, abort.signal, () => new Promise(() => undefined));
    expect(abort.signal.aborted).toBe(true);
  });
});
