/** Tells an observer how far a run is, at a pace that a terminal can follow. */

export interface StressProgress {
  readonly phase: "funding" | "opening" | "firing" | "reading";
  /** Out of `total`: sockets tried while opening, outcomes known while firing, otherwise users. */
  readonly done: number;
  readonly total: number;
  /** Requests so far with any other answer than the two expected ones, or none. */
  readonly failed: number;
}

/** Called when a phase begins and ends, and about ten times a second in between. */
export type StressObserver = (progress: StressProgress) => void;

export interface Progress {
  begin(phase: StressProgress["phase"], total?: number): void;
  step(failed?: number): void;
  stop(): void;
}

const intervalMs = 100;

export function createProgress(observer: StressObserver): Progress {
  let now: StressProgress | undefined;
  const tell = () => {
    if (now) observer(now);
  };
  const timer = setInterval(tell, intervalMs);
  return {
    begin(phase, total = 0) {
      tell();
      now = { phase, done: 0, total, failed: now?.failed ?? 0 };
      tell();
    },
    step(failed = 0) {
      if (now) now = { ...now, done: now.done + 1, failed };
    },
    stop() {
      clearInterval(timer);
      tell();
    },
  };
}
