import type { Writer } from "../database/writers.ts";

/** Keys a step: some milliseconds of locks and log. */
const stepSize = 5_000;

/**
 * Removes idempotency keys older than `days`, a bounded step at a time.
 * @returns how many were removed
 */
export async function pruneKeys(
  writer: Writer,
  days: number,
  onProgress: (removed: number) => void,
  signal: AbortSignal,
): Promise<number> {
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

const statement = {
  name: "prune_keys",
  text: `
    WITH old AS (
      SELECT user_id, key FROM idempotency_keys
       WHERE created_at < clock_timestamp() - $1::double precision * interval '1 day'
       ORDER BY created_at LIMIT $2::bigint
         FOR UPDATE SKIP LOCKED),
    removed AS (
      DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key
      RETURNING 1)
    SELECT count(*) FROM removed`,
};
