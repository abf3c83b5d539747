import type { Config } from "../../config.ts";
import { refuseAlterations } from "../../database/alterations.ts";
import { guardsOf } from "../../database/grants.ts";
import { announceServer } from "../../database/migrator.ts";
import { remarksOn } from "../../database/remarks.ts";
import { createLogger, flushLog, type Logger } from "../../log.ts";
import { packageVersion } from "../../package-root.ts";
import { lookAtDoor } from "../../service/door.ts";
import { openDatabase, prepareSchema } from "../../service/open-database.ts";
import { type Service, startService } from "../../service/start.ts";
import { type Wait, whenDatabaseIsThere } from "../../service/when-database-is-there.ts";
import { startWorkers } from "../../service/workers.ts";
import type { ServeFlags } from "../commands/serve.ts";
import type { Context } from "../context.ts";
import type { Output, Progress } from "../output.ts";

/** Serves until the process is asked to stop, then answers what is in flight. */
export async function serve(context: Context, flags: ServeFlags): Promise<void> {
  const { output, stopping, script, env } = context;
  const config = await context.loadConfig({
    HOST: flags.host,
    PORT: flags.port?.toString(),
    BALANCECTL_ALLOW_ANONYMOUS: flags.allowAnonymous ? "true" : undefined,
  });
  const log = createLogger(config.logLevel);
  const progress = output.progress("Starting");
  try {
    const opened = await openDatabase(config, stopping, progress.update, (lost) => log.warn(lost));
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
      const isOpen = await lookAtDoor(config, opened.url);
      const lock = await announceServer(opened.url);
      try {
        const service: Service =
          flags.workers > 1
            ? await startWorkers({
                ...{ script, env, log, count: flags.workers },
                orders: { config, databaseUrl: opened.url, schema: latest },
              })
            : await startService(config, opened.url, latest, log);
        for (const remark of await remarksOn(opened.url)) log.warn(remark);
        const guards = await guardsOf(opened.url);
        if (config.allowAnonymous) log.warn(openToAll);
        progress.end();
        output.result(
          { url: service.url, database: opened.label, schema: latest, pid: process.pid },
          () =>
            banner(service.url, `${opened.label}, schema ${latest}`, {
              ...{ config, guards, isOpen, output },
            }),
        );
        const lost = await Promise.race([aborted(stopping), opened.gone]);
        log.info(await service.figures(), "stopping");
        await service.stop();
        if (lost) throw lost;
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

interface BannerParts {
  readonly config: Config;
  readonly guards: string;
  readonly isOpen: boolean;
  readonly output: Output;
}

function banner(
  url: string,
  database: string,
  { config, guards, isOpen, output }: BannerParts,
): string {
  const { paint } = output;
  const anybody = config.allowAnonymous
    ? `everybody who can reach ${config.host}`
    : "everybody on this machine (loopback)";
  const access = isOpen ? `${anybody} may change every balance` : "whoever has a token";
  return `${paint.bold("balancectl")} ${packageVersion()} on ${paint.cyan(url)}
  database  ${database}
  guards    ${guards}
  access    ${access}
  stop      Ctrl-C answers what is in flight and stops; a second one forces`;
}

const openToAll =
  "requests without a token are answered (--allow-anonymous): everybody who reaches this server may change every balance";

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
