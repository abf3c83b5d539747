/** One thing that was looked at, and what to do where it is not well. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  /** What was seen. */
  readonly found: string;
  readonly advice?: string;
}

export function ok(name: string, found: string): Check {
  return { name, state: "ok", found };
}

/** It works, and may not go on working, or not as well as it could. */
export function warn(name: string, found: string, advice: string): Check {
  return { name, state: "warn", found, advice };
}

/** It does not work, or what it promises is not kept. */
export function fail(name: string, found: string, advice: string): Check {
  return { name, state: "fail", found, advice };
}
