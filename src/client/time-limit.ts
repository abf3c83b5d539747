/** A time that may pass, and a signal that may come, whichever is first; neither outlives the work. */

export interface TimeLimit {
  readonly signal: AbortSignal;
  /** Whether it is the time that has passed. */
  readonly isOver: () => boolean;
  /** When, by performance.now(). */
  readonly endMs: number;
  /** Takes timer and listener away. */
  clear(): void;
}

/** What setTimeout can count; beyond it, it would fire at once. */
const timerMaxMs = 2 ** 31 - 1;

/** By hand and not by AbortSignal.any(), which browsers of 2023 have not and which held on to what it joined. */
export function limitTime(ms: number, outer: AbortSignal | undefined): TimeLimit {
  const controller = new AbortController();
  let isOver = false;
  const over = () => {
    isOver = true;
    controller.abort();
  };
  const stop = () => controller.abort(outer?.reason);
  const timer = ms <= timerMaxMs ? setTimeout(over, ms) : undefined;
  if (outer?.aborted) stop();
  else outer?.addEventListener("abort", stop, { once: true });
  return {
    signal: controller.signal,
    isOver: () => isOver,
    endMs: performance.now() + ms,
    clear: () => {
      clearTimeout(timer);
      outer?.removeEventListener("abort", stop);
    },
  };
}

/** What `work` gives, or a rejection as soon as the signal comes. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await untilAborted(passed, signal);
  } finally {
    clearTimeout(timer);
  }
}
