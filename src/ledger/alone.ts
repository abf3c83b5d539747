/** Operations that are run once more, alone, because the batch that they were in was rolled back. */
import { failedOnData, metConflict, wasCancelled } from "../database/translate-error.ts";

/** Nothing was changed, and what was too much for the batch need not be too much for each in it. */
export function mayDoAlone(operations: number, error: unknown): boolean {
  return failedOnData(error) || (operations > 1 && wasCancelled(error));
}

/** A deadlock, or a serialization failure where a role's sessions are serializable, passes. */
const triesMax = 5;

/** Applies, again where it met a conflict. */
export async function pastConflicts<T>(apply: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await apply();
    } catch (error) {
      if (tried === triesMax || !metConflict(error)) throw error;
    }
  }
}
