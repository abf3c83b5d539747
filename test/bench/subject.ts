/** Something that can be put under load for a few seconds, and whose work is checked each time. */
import { type Bench, problem } from "./bench.ts";
import { type Books, discrepancy, type Reader } from "./books.ts";
import { lookAt } from "./first-look.ts";
import { type LoadResult, unseenMax, type Work } from "./load/load.ts";
import type { Running } from "./servers.ts";

export interface Subject {
  readonly name: string;
  readonly title: string;
  /** @param connections instead of those that are usual for it */
  measure(seconds: number, connections?: number): Promise<LoadResult>;
  stop(): Promise<void>;
}

/** @param unseenMax how many changes may have been made without their answers being counted */
export type Check = <R extends Counts>(run: () => Promise<R>, unseenMax: number) => Promise<R>;
type Counts = Pick<LoadResult, "done" | "refused" | "broken">;

/** @returns undefined, and the server stopped, when it does not have the route */
export async function httpSubject(
  bench: Bench,
  name: string,
  title: string,
  work: Work,
  running: Running,
): Promise<Subject | undefined> {
  const { server, stop } = running;
  const look = await lookAt(server.url, work, running.databaseUrl !== undefined);
  for (const text of look.problems) problem(bench, `${name}: ${text}`);
  if (look.missing) {
    await stop();
    return undefined;
  }
  const check = createCheck(bench, name, work, running.books(work));
  return {
    name,
    title,
    stop,
    measure: (seconds, connections = bench.options.connections) => {
      const load = { url: server.url, work, seconds, connections };
      return check(() => bench.tool.run(load), unseenMax(load));
    },
  };
}

/** Runs loads and holds what was answered against what was done. Nobody else may be at work. */
export function createCheck(bench: Bench, name: string, work: Work, read: Reader): Check {
  let books: Books | undefined;
  return async (run, unseen) => {
    const before = books ?? (await read());
    const result = await run();
    books = await read();
    const wrong = discrepancy(work, before, books, result.done, unseen);
    if (wrong !== undefined) problem(bench, `${name}: ${wrong}`);
    if (result.refused > 0) problem(bench, `${name}: ${result.refused} answers were not 2xx`);
    if (result.broken > 0)
      problem(bench, `${name}: ${result.broken} connections or answers failed`);
    return result;
  };
}
