/** What all parts of the benchmark work with. */
import type { DatabaseServer } from "./database-server.ts";
import type { LoadTool } from "./load/load.ts";
import type { BenchOptions } from "./options.ts";
import type { Summary } from "./statistics.ts";

export interface Bench {
  readonly options: BenchOptions;
  readonly database: DatabaseServer;
  readonly tool: LoadTool;
  /** For scripts and data directories; gone afterwards. */
  readonly folder: string;
  /** A database with balancectl's schema and the users, to be copied. */
  readonly template: () => Promise<string>;
  /** Progress, for people. */
  readonly say: (line: string) => void;
  /** Rounds the results up as they come. */
  readonly results: Results;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: "/s" | "ms" | "MB";
  readonly summary: Summary;
  /** Medians over the rounds, where latencies were measured. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export interface Results {
  readonly rows: Row[];
  /** What was left out or done in another way, and why. */
  readonly notes: string[];
  /** What was wrong with a candidate's answers. Any of these makes the run fail. */
  readonly problems: string[];
}

export function note(bench: Bench, text: string): void {
  bench.results.notes.push(text);
  bench.say(text);
}

export function problem(bench: Bench, text: string): void {
  bench.results.problems.push(text);
  bench.say(`WRONG: ${text}`);
}
