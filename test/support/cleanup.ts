/**
 * What a file opens and closes again. Vitest passes over an afterAll that is called inside a test
 * or another hook without a word, so there is one here, and whatever is opened anywhere adds to it.
 */
import { afterAll } from "vitest";

const steps: (() => unknown)[] = [];

/** Runs after the file, the last one first. */
export function afterFile(step: () => unknown): void {
  steps.push(step);
}

// Dropping thirty databases took a minute on a machine that had other things to do.
afterAll(async () => {
  for (const step of steps.splice(0).reverse()) await step();
}, 300_000);
