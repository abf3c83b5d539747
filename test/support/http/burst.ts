/** A burst in whose middle something happens to the server, and what is left of it. */
import { psql } from "../database/database.ts";
import { account } from "../oracle/journal.ts";
import { type Load, type LoadAnswer, tally } from "./load.ts";

/** So many changes by 1 of user 1; `then` runs when `after` of them are answered. */
export async function burst(
  load: Load,
  { count, after, then }: { count: number; after: number; then: () => void },
): Promise<LoadAnswer[]> {
  let answered = 0;
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const answer = await load.send({ userId: 1, amount: 1 }, n);
      answered += 1;
      if (answered === after) then();
      return answer;
    }),
  );
  await load.close();
  return answers;
}

export function successes(answers: readonly LoadAnswer[]): number {
  return tally(answers)["200"] ?? 0;
}

/** Entries that were made by answers, beside the opening one. */
export async function made(databaseUrl: string): Promise<number> {
  return ((await account(databaseUrl))?.entries as number) - 1;
}

/** Until the last backend of the program has ended: what a dead client had sent is done by then. */
export async function untilBackendsAreGone(databaseUrl: string): Promise<void> {
  const working = () =>
    psql(
      databaseUrl,
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name ~ '^balancectl( lane \\d+)?$'`,
    );
  while ((await working()).length !== 0);
}
