/** Who is measured side by side, each ready to be put under load. */
import { type Bench, note } from "./bench.ts";
import { tableReader } from "./books.ts";
import type { LoadResult, Work } from "./load/load.ts";
import { pgbenchVersion, runPgbench } from "./load/pgbench.ts";
import type { PostgresLoad } from "./load/postgres-process.ts";
import { findPgbench } from "./load/programs.ts";
import type { Name } from "./options.ts";
import { firstUser, userCount } from "./population.ts";
import { runScript } from "./processes.ts";
import { startBalancectl, startInMemory, startOnSequelize } from "./servers.ts";
import { createSimpleSchema } from "./simple-schema.ts";
import { createCheck, httpSubject, type Subject } from "./subject.ts";

export interface Candidate {
  readonly name: Name;
  /** @returns undefined, with a note, when it cannot be measured here */
  start(bench: Bench): Promise<Subject | undefined>;
}

export const hot: Work = { kind: "withdrawal", first: firstUser, count: 1, keyed: false };
const some: Work = { ...hot, count: 100 };
const many: Work = { ...hot, count: userCount };
const pair: Work = { kind: "transfer", first: firstUser, count: 2, keyed: false };
const pairs: Work = { ...pair, count: userCount };

/** PostgreSQL alone is asked over this many connections. */
const postgresConnections = 8;

export const candidates: readonly Candidate[] = [
  {
    name: "A",
    start: async (bench) =>
      httpSubject(bench, "A", "(A) bare node:http", hot, await startInMemory("bare-http")),
  },
  {
    name: "B",
    start: async (bench) =>
      httpSubject(
        bench,
        "B",
        "(B) this server, no database",
        hot,
        await startInMemory("no-database"),
      ),
  },
  {
    name: "C",
    start: async (bench) =>
      httpSubject(
        bench,
        "C",
        "(C) Express + Sequelize, FOR UPDATE",
        hot,
        await startOnSequelize(bench, "for-update"),
      ),
  },
  {
    name: "D",
    start: async (bench) =>
      httpSubject(
        bench,
        "D",
        "(D) Express + Sequelize, conditional",
        hot,
        await startOnSequelize(bench, "conditional-update"),
      ),
  },
  { name: "E", start: startPostgres },
  { name: "F", start: startPgbench },
  balancectl("hot", "one hot user", hot),
  balancectl("hot-keys", "one hot user, keys", { ...hot, keyed: true }),
  balancectl("users-100", "100 users", some),
  balancectl("users-100-keys", "100 users, keys", { ...some, keyed: true }),
  balancectl("users-10000", "10,000 users", many),
  balancectl("users-10000-keys", "10,000 users, keys", { ...many, keyed: true }),
  balancectl("transfers-pair", "transfers, hot pair", pair),
  balancectl("transfers-random", "transfers, random pairs", pairs),
  {
    name: "workers-2",
    start: async (bench) => {
      try {
        const running = await startBalancectl(bench, ["--workers", "2"]);
        return await httpSubject(
          bench,
          "workers-2",
          "balancectl, 10,000 users, 2 workers",
          many,
          running,
        );
      } catch (error) {
        if (!/unknown option/.test(String(error))) throw error;
        note(bench, "workers-2: skipped, this serve has no --workers");
        return undefined;
      }
    },
  },
];

function balancectl(name: Name, title: string, work: Work): Candidate {
  return {
    name,
    start: async (bench) => {
      const running = await startBalancectl(bench);
      const subject = await httpSubject(bench, name, `balancectl, ${title}`, work, running);
      if (!subject) note(bench, `${name}: skipped, this server has no such route`);
      return subject;
    },
  };
}

async function startPostgres(bench: Bench): Promise<Subject> {
  return await postgresSubject(bench, "E", "(E) PostgreSQL alone", (load) =>
    runScript<LoadResult>("load/postgres-process.js", load),
  );
}

async function startPgbench(bench: Bench): Promise<Subject | undefined> {
  const program = await findPgbench();
  if (program === undefined) {
    note(bench, "F: skipped, there is no pgbench on PATH");
    return undefined;
  }
  note(bench, `F: ${await pgbenchVersion(program)}; its p50 is a mean`);
  return await postgresSubject(bench, "F", "(F) pgbench", (load) =>
    runPgbench(program, bench.folder, load),
  );
}

/** PostgreSQL with the simple tables and no HTTP, whoever asks it. */
async function postgresSubject(
  bench: Bench,
  name: Name,
  title: string,
  run: (load: PostgresLoad) => Promise<LoadResult>,
): Promise<Subject> {
  const url = await bench.database.create();
  await createSimpleSchema(url);
  const check = createCheck(bench, name, hot, tableReader(url, hot));
  return {
    name,
    title,
    stop: () => bench.database.drop(url),
    measure: (seconds, connections = postgresConnections) =>
      check(() => run({ url, userId: hot.first, connections, seconds }), 0),
  };
}
