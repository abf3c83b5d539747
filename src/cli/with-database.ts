import { openDatabase, prepareSchema } from "../service/open-database.ts";
import type { Context } from "./context.ts";

/** Runs `work` with the URL of the configured database, which has our schema, and closes what it opened. */
export async function withDatabase<T>(
  context: Context,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const config = await context.loadConfig();
  const progress = context.output.progress("Connecting to the database");
  try {
    const opened = await openDatabase(config, context.stopping, progress.update);
    try {
      await prepareSchema(opened, opened.embedded, context.stopping);
      progress.end();
      return await work(opened.url);
    } finally {
      await opened.close();
    }
  } finally {
    progress.end();
  }
}
