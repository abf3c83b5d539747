/** What can be done to a stage, and taken back. */
import type { Random } from "../../support/random.ts";
import type { Cluster } from "../stage/cluster.ts";
import type { DatabaseProxy } from "../stage/proxy.ts";
import type { Server } from "../stage/server.ts";

/** Two servers, each with a proxy to the one PostgreSQL. */
export interface Stage {
  readonly cluster: Cluster;
  readonly servers: readonly Server[];
  readonly proxies: readonly DatabaseProxy[];
  /** The database of this round. */
  readonly database: string;
  readonly dice: Random;
  readonly note: (text: string) => void;
  /** What the healing has to undo, the latest first. */
  readonly undo: (() => Promise<unknown>)[];
}

export interface Fault {
  readonly name: string;
  /** A quarter as many rounds. */
  readonly slow?: true;
  /** Why it cannot be had here. */
  readonly impossible?: () => Promise<string | undefined>;
  /** What servers and PostgreSQL are started with. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clusterEnv?: (cluster: Cluster) => Promise<Readonly<Record<string, string>>>;
  /** Where the database is made. @returns what follows CREATE DATABASE */
  readonly prepare?: (stage: Pick<Stage, "cluster" | "undo">) => Promise<string>;
  /** What the proxies lead to, where it is not PostgreSQL. @returns its port */
  readonly front?: (stage: Pick<Stage, "cluster" | "undo">) => Promise<number>;
  readonly inject: (stage: Stage) => Promise<void>;
  /** Milliseconds that it lasts, at least and at most. */
  readonly lasts?: readonly [number, number];
  /** Milliseconds that it is healed before the next time. */
  readonly rests?: readonly [number, number];
  /** Beside what is in `undo`. */
  readonly heal?: (stage: Stage) => Promise<void>;
  /** When the servers have ended: what must be before all is at rest and the tables can agree. */
  readonly settle?: (stage: Stage) => Promise<void>;
  /** A server may end by itself of this. */
  readonly mayEnd?: true;
}

export function either<T>(stage: Stage, list: readonly T[]): T {
  return stage.dice.pick(list);
}
