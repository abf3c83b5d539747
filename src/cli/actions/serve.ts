import type { Config } from "../../config.ts";
import { refuseAlterations } from "../../database/alterations.ts";
import { announceServer } from "../../database/migrator.ts";
import { remarksOn } from "../../database/remarks.ts";
import { isLoopback } from "../../http/middleware/guard-requests.ts";
import { createLogger, flushLog, type Logger } from "../../log.ts";
import { packageVersion } from "../../package-root.ts";
import { openDatabase, prepareSchema } from "../../service/open-database.ts";
import { type Service, startService } from "../../service/start.ts";
import { type Wait, whenDatabaseIsThere } from "../../service/when-database-is-there.ts";
import { startWorkers } from "../../service/workers.ts";
import type { ServeFlags } from "../commands/serve.ts";
import type { Context } from "../context.ts";
import type { Output, Progress } from "../output.ts";

/** Serves until the process is asked to stop, then answers what is in flight. */
export async function serve(context: Context, flags: ServeFlags): Promise<void> {
  const { output, stopping, script } = context;
  const config = await context.loadConfig({ HOST: flags.host, PORT: flags.port?.toString() });
  const log = createLogger(config.logLevel);
  const progress = output.progress("Starting");
  try {
    const opened = await openDatabase(config, stopping, progress.update);
    try {
      const prepare = () => prepareSchema(opened, flags.migrate, stopping);
      const wait: Wait = {
        // The embedded one has been waited for.
        waitMs: opened.embedded ? 0 : flags.wait * 1_000,
        signal: stopping,
        onWait: sayWhy(opened.label, output, progress, log),
      };
      const { latest, status } = await whenDatabaseIsThere(opened.url, wait, prepare);
      refuseAlterations(status.altered, status.schema);
      const lock = await announceServer(opened.url);
      try {
        const service: Service =
          flags.workers > 1
            ? await startWorkers({
                ...{ script, log, count: flags.workers },
                orders: { config, databaseUrl: opened.url, schema: latest },
              })
            : await startService(config, opened.url, latest, log);
        for (const remark of await remarksOn(opened.url)) log.warn(remark);
        progress.end();
        output.result(
          { url: service.url, database: opened.label, schema: latest, pid: process.pid },
          () => banner(service.url, `${opened.label}, schema ${latest}`, config, output),
        );
        await aborted(stopping);
        log.info(await service.figures(), "stopping");
        await service.stop();
      } finally {
        await lock.release();
      }
    } finally {
      await opened.close();
    }
  } finally {
    progress.end();
    await flushLog();
  }
}

/** Each reason once, and where a line can be redrawn the time that is left. With --json the log has it. */
function sayWhy(
  database: string,
  { json }: Output,
  progress: Progress,
  log: Logger,
): Wait["onWait"] {
  let said = "";
  return (why, leftMs) => {
    const text = `Waiting up to ${Math.ceil(leftMs / 1_000)} s for ${database}: ${why}`;
    if (why === said) progress.update(text);
    else if (json) log.info({ why }, "waiting for the database");
    else progress.step(text);
    said = why;
  };
}

function banner(url: string, database: string, { host }: Config, { paint }: Output): string {
  const access = isLoopback(host)
    ? "this machine only (loopback)"
    : `everybody who can reach ${host}: put it behind something that asks who calls`;
  return `${paint.bold("balancectl")} ${packageVersion()} on ${paint.cyan(url)}
  database  ${database}
  access    ${access}
  stop      Ctrl-C answers what is in flight and stops; a second one forces`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
