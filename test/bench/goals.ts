/** What is to be reached, as ratios of what the same run measured beside it. */
import type { Row } from "./bench.ts";

export interface Goal {
  readonly what: string;
  /** As it stands in the table: ">= 0.9 x B". */
  readonly goal: string;
  readonly measured: string;
  /** "not judged" with the reason in `measured`. */
  readonly verdict: "met" | "missed" | "not judged";
}

interface Rule {
  readonly what: string;
  /** Rows by name. The goal is judged when all are there. */
  readonly of: string;
  readonly against: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly times: string;
}

const ratios: readonly Rule[] = [
  { what: "one hot user", of: "hot", against: "B", atLeast: 0.9, times: "B" },
  { what: "one hot user", of: "hot", against: "A", atLeast: 0.6, times: "A" },
  { what: "one hot user", of: "hot", against: "E", atLeast: 3.5, times: "E" },
  { what: "one hot user", of: "hot", against: "C", atLeast: 10, times: "C" },
  { what: "one hot user", of: "hot", against: "D", atLeast: 6, times: "D" },
  { what: "10,000 users", of: "users-10000", against: "B", atLeast: 0.7, times: "B" },
  { what: "keys, hot user", of: "hot-keys", against: "hot", atLeast: 0.8, times: "without" },
  {
    what: "keys, 100 users",
    of: "users-100-keys",
    against: "users-100",
    atLeast: 0.8,
    times: "without",
  },
  {
    what: "keys, 10,000 users",
    of: "users-10000-keys",
    against: "users-10000",
    atLeast: 0.8,
    times: "without",
  },
  {
    what: "burst, wall time",
    of: "burst-balancectl",
    against: "burst-A",
    atMost: 1.3,
    times: "A",
  },
  {
    what: "long journal, hot user",
    of: "journal-full",
    against: "journal-empty",
    atLeast: 0.9,
    times: "empty",
  },
];

/** @param cores on fewer than 4 a second worker only takes time from PostgreSQL and the client */
export function judge(rows: readonly Row[], cores: number): Goal[] {
  const median = new Map(rows.map(({ name, summary }) => [name, summary.median]));
  return [
    ...ratios.flatMap((rule) => judgeRatio(rule, median)),
    ...judgeIdle(median),
    ...judgeBound("memory, open sockets under load", median.get("memory"), 250, "MB"),
    ...judgeHelp(median),
    ...judgeBound("serve ready", median.get("ready"), 1_500, "ms"),
    ...judgeWorkers(median, cores),
  ];
}

function judgeRatio(rule: Rule, median: ReadonlyMap<string, number>): Goal[] {
  const { what, atLeast, atMost, times } = rule;
  const of = median.get(rule.of);
  const against = median.get(rule.against);
  if (of === undefined || against === undefined) return [];
  const ratio = of / against;
  const met = atLeast !== undefined ? ratio >= atLeast : ratio <= (atMost ?? 0);
  const goal = atLeast !== undefined ? `>= ${atLeast} x ${times}` : `<= ${atMost} x ${times}`;
  return [{ what, goal, measured: `${ratio.toFixed(2)} x`, verdict: met ? "met" : "missed" }];
}

function judgeIdle(median: ReadonlyMap<string, number>): Goal[] {
  const balancectl = median.get("idle-hot");
  const parts = (median.get("idle-B") ?? Number.NaN) + (median.get("idle-E") ?? Number.NaN);
  if (balancectl === undefined || Number.isNaN(parts)) return [];
  const ratio = balancectl / parts;
  return [
    {
      what: "idle, one at a time, p50",
      goal: "<= 1.5 x (B + E's statement)",
      measured: `${ratio.toFixed(2)} x`,
      verdict: ratio <= 1.5 ? "met" : "missed",
    },
  ];
}

function judgeHelp(median: ReadonlyMap<string, number>): Goal[] {
  const node = median.get("node");
  if (node === undefined) return [];
  const limit = 1.5 * node + 100;
  const goal = `<= 1.5 x node -e 0 + 100 ms = ${Math.round(limit)} ms`;
  return judgeBound("balancectl --help", median.get("help"), limit, "ms", goal);
}

function judgeBound(
  what: string,
  measured: number | undefined,
  limit: number,
  unit: string,
  goal = `<= ${limit.toLocaleString("en-US")} ${unit}`,
): Goal[] {
  if (measured === undefined) return [];
  const verdict = measured <= limit ? "met" : "missed";
  return [{ what, goal, measured: `${Math.round(measured)} ${unit}`, verdict }];
}

function judgeWorkers(median: ReadonlyMap<string, number>, cores: number): Goal[] {
  const two = median.get("workers-2");
  const one = median.get("users-10000");
  if (two === undefined || one === undefined) return [];
  const ratio = two / one;
  const measured = `${ratio.toFixed(2)} x`;
  const judged = cores >= 4;
  return [
    {
      what: "2 workers, 10,000 users",
      goal: "> 1.2 x one process, 4 cores or more",
      measured: judged ? measured : `${measured} on ${cores} cores: correctness only`,
      verdict: !judged ? "not judged" : ratio > 1.2 ? "met" : "missed",
    },
  ];
}
