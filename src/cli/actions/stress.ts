import { BalancectlError } from "../../errors.ts";
import { checkFileLimits } from "../../file-limits.ts";
import { probeServer } from "../../stress/probe.ts";
import type { StressProgress } from "../../stress/progress.ts";
import { runStress } from "../../stress/run-stress.ts";
import { checkLoad, socketsByDefault } from "../../stress/stress-options.ts";
import { readAccessToken } from "../access-token.ts";
import type { StressFlags } from "../commands/stress.ts";
import type { Context } from "../context.ts";
import { grouped, type Progress } from "../output.ts";
import { startOwnServer } from "../own-server.ts";
import { stressReportText } from "../stress-report-text.ts";

/** @returns the exit code: 0 for a verdict of "pass", else 1 */
export async function stress(context: Context, flags: StressFlags): Promise<number> {
  const { output, stopping } = context;
  const { amount, user, users, skew, seed, timeout } = flags;
  if (user !== undefined && flags.balance !== undefined) {
    throw new BalancectlError(
      "INVALID_REQUEST",
      "--balance is for the user made for the run; leave it out with --user",
    );
  }
  const target = user === undefined ? { balance: flags.balance ?? 10_000 } : { userId: user };
  const load = { ...loadOf(flags), amount, ...target, users, skew, seed };
  // Before a server is started for nothing.
  checkLoad(load);
  checkFileLimits(load.concurrency);
  const config = await context.loadConfig();
  const keys = flags.keys ?? config.requireKeys;
  const token = await readAccessToken(context.env, undefined);
  const progress = output.progress("Looking for a server");
  try {
    const server = await findServer(context, flags.url, progress);
    try {
      const report = await runStress(
        {
          ...{ ...load, keys, url: server.url, token: server.token ?? token },
          ...{ timeoutMs: timeout * 1_000, signal: stopping },
        },
        (seen) => progress.update(progressText(seen)),
      );
      progress.end();
      // Decided before anything is printed: a broken pipe must not turn a fail into a pass.
      const exitCode = report.verdict === "pass" ? 0 : 1;
      output.result(report, () => stressReportText(report, server.label, output));
      return exitCode;
    } finally {
      progress.end();
      await server.stop();
    }
  } finally {
    progress.end();
  }
}

/** How many requests, when, and over how many sockets. */
function loadOf({ count, rate, duration, concurrency }: StressFlags) {
  if (rate === undefined || duration === undefined) {
    return { count, concurrency: Math.min(concurrency ?? count, count) };
  }
  const sockets = Math.min(concurrency ?? socketsByDefault(rate), rate * duration);
  return { rate, durationSeconds: duration, concurrency: sockets };
}

interface Target {
  readonly url: string;
  readonly label: string;
  /** Undefined for the one that the settings name. */
  readonly token?: string;
  stop(): Promise<void>;
}

/** The server to load: the one asked for, the one that runs as the settings say, or our own. */
async function findServer(
  context: Context,
  url: string | undefined,
  progress: Progress,
): Promise<Target> {
  const leave = async () => {};
  if (url !== undefined) return { url, label: url, stop: leave };
  const { host, port } = await context.loadConfig();
  const configured = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if ((await probeServer(configured)) === "balancectl") {
    return { url: configured, label: `${configured} (running already)`, stop: leave };
  }
  progress.update("Starting a server for this run");
  const own = await startOwnServer(context, context.stopping);
  return {
    url: own.url,
    label: `${own.url}, started for this run on ${own.database}`,
    token: own.token,
    stop: own.stop,
  };
}

function progressText({ phase, done, total, failed }: StressProgress): string {
  switch (phase) {
    case "funding":
      return total > 1 ? `Funding users: ${grouped(done)} of ${grouped(total)}` : "Funding a user";
    case "opening":
      return `Opening sockets: ${grouped(done)} of ${grouped(total)}`;
    case "firing": {
      const trouble = failed > 0 ? `, ${grouped(failed)} failed` : "";
      return `Withdrawing: ${grouped(done)} of ${grouped(total)} answered${trouble}`;
    }
    case "reading":
      return total > 1
        ? `Reading balances and journals back: ${grouped(done)} of ${grouped(total)}`
        : "Reading the balance and the journal back";
  }
}
