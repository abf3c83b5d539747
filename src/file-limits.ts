/** Open files: each socket is one, and running out of them half-way looks like a broken server. */
import { BalancectlError } from "./errors.ts";

/** How many files this process may open. Undefined where the platform does not say. */
export interface FileLimits {
  readonly soft: number | undefined;
  readonly hard: number | undefined;
}

// Standard streams, the event loop's own, the API connection, logs, and room for the unforeseen.
const filesBesideSockets = 64;

/**
 * Throws before anything is started when `concurrency` sockets cannot be open at once.
 * @throws BalancectlError INVALID_REQUEST: what is needed, what is allowed, and the two ways out.
 */
export function checkFileLimits(concurrency: number, limits: FileLimits = readFileLimits()): void {
  const { soft, hard } = limits;
  const needed = concurrency + filesBesideSockets;
  if (soft === undefined || needed <= soft) return;
  const enough = 2 ** Math.ceil(Math.log2(needed));
  const asRoot = hard !== undefined && hard < needed ? ", for which the hard limit needs root" : "";
  throw new BalancectlError(
    "INVALID_REQUEST",
    `${concurrency} sockets at once need ${needed} open files, and this process may open ${soft}. ` +
      `Either allow more (ulimit -n ${enough}${asRoot}) or use --concurrency ${fitting(soft)}`,
  );
}

/**
 * The limits as they are now. Node raises the soft limit to the hard one when it starts, so what
 * is reported is what can be used. Takes about 6 ms: it comes out of a diagnostic report.
 */
export function readFileLimits(): FileLimits {
  // Absent from the types of Node 20; without it the report looks up a host name per socket.
  const report: { getReport(): object; excludeNetwork?: boolean } | undefined = process.report;
  if (!report) return { soft: undefined, hard: undefined };
  const { excludeNetwork } = report;
  try {
    if (excludeNetwork !== undefined) report.excludeNetwork = true;
    return parseFileLimits(report.getReport());
  } finally {
    if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  }
}

/** `userLimits.open_files` of a diagnostic report; "unlimited" counts as infinitely many. */
export function parseFileLimits(report: object): FileLimits {
  const { userLimits } = report as {
    userLimits?: { open_files?: { soft?: unknown; hard?: unknown } };
  };
  const { soft, hard } = userLimits?.open_files ?? {};
  return { soft: parseLimit(soft), hard: parseLimit(hard) };
}

function parseLimit(limit: unknown): number | undefined {
  if (limit === "unlimited") return Number.POSITIVE_INFINITY;
  const n = typeof limit === "string" ? Number(limit) : limit;
  return typeof n === "number" && Number.isFinite(n) ? n : undefined;
}

/** A round number of sockets that fits: 1,024 files take 900. */
function fitting(soft: number): number {
  const most = Math.max(soft - filesBesideSockets, 1);
  return most < 100 ? most : Math.floor(most / 100) * 100;
}
