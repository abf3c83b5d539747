/** What the main process and its workers say to each other, and how. Plain data: it crosses a process. */
import type { Config } from "../config.ts";
import type { Snapshot } from "../metrics/registry.ts";
import type { Figures } from "./figures.ts";

/** What a worker is to do: all that it needs, so that it reads no settings of its own. */
export interface WorkerOrders {
  readonly config: Config;
  readonly databaseUrl: string;
  /** The migration that the database is at. */
  readonly schema: string;
}

export type ToWorker =
  | { readonly say: "serve"; readonly orders: WorkerOrders }
  | { readonly say: "stop" }
  /** Each connection that it had for the worker is before this. */
  | { readonly say: "handed over" }
  | { readonly say: "figures"; readonly question: number }
  /** For another worker that was asked for what all have counted. */
  | { readonly say: "metrics"; readonly question: number }
  | { readonly say: "collected"; readonly question: number; readonly metrics: Snapshot };

export type FromWorker =
  /** It listens to the channel, and waits for its orders. */
  | { readonly say: "here" }
  /** It is stopping, and would close: is there a connection that it has not been handed? */
  | { readonly say: "any more" }
  | { readonly say: "figures"; readonly question: number; readonly figures: Figures }
  | { readonly say: "metrics"; readonly question: number; readonly metrics: Snapshot }
  /** What have all counted? */
  | { readonly say: "collect"; readonly question: number };

/** The channel to the process that started this one. */
export interface ParentChannel {
  onMessage(listener: (message: unknown) => void): void;
  /** @param onLost called when it is gone */
  send(message: unknown, onLost?: () => void): void;
}
