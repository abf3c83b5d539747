/** What a load tool is asked to do and what it answers, whichever tool it is. */

/** Closed loop: each connection sends its next request when it has the answer to the last one. */
export interface Load {
  readonly url: string;
  readonly work: Work;
  readonly connections: number;
  readonly seconds: number;
}

/** Users first to first + count - 1, each request about a random one of them. */
export interface Work {
  readonly kind: "withdrawal" | "transfer";
  readonly first: number;
  readonly count: number;
  /** Every request with an Idempotency-Key of its own. */
  readonly keyed: boolean;
}

export interface LoadResult {
  /** Answers with a 2xx. */
  readonly done: number;
  /** Answers with anything else. */
  readonly refused: number;
  /** Connections that broke and requests without an answer in time. */
  readonly broken: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LoadTool {
  readonly name: string;
  run(load: Load): Promise<LoadResult>;
}

/** What one request takes from a user, and a transfer gives to another one. */
export const amountTaken = 2;

/** The answers to what was under way at the end are not seen, but it was done all the same. */
export function unseenMax(load: Pick<Load, "connections">): number {
  return load.connections;
}
