import type { Writer } from "../database/writers.ts";

/** Keys a step: some milliseconds of locks and log. */
const stepSize = 5_000;

/**
 * Removes idempotency keys older than `days`, a bounded step at a time.
 * @param by who asks for it, like "os:alice"
 * @returns how many were removed
 */
export async function pruneKeys(
  writer: Writer,
  days: number,
  by: string,
  onProgress: (removed: number) => void,
  signal: AbortSignal,
): Promise<number> {
  // Before it is done: that it was interrupted must not keep it from being known.
  await writer.query(audit, [by, JSON.stringify({ days })]);
  let removed = 0;
  for (;;) {
    signal.throwIfAborted();
    const step = await pruneStep(writer, days);
    removed += step;
    onProgress(removed);
    if (step < stepSize) return removed;
  }
}

async function pruneStep(writer: Writer, days: number): Promise<number> {
  return Number(await writer.query(statement, [String(days), String(stepSize)]));
}

const audit = { name: "audit_prune", text: "SELECT write_audit($1, 'prune', $2::jsonb)" };

const statement = {
  name: "prune_keys",
  text: `
    SELECT remove_old_keys(clock_timestamp() - $1::double precision * interval '1 day', $2::bigint)`,
};
