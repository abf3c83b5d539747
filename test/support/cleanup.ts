/**
 * What a file opens and closes again. Vitest passes over an afterAll that is called inside a test
 * or another hook without a word, so there is one for each file (each-file.ts), and whatever is opened
 * anywhere adds to it.
 */
const steps: (() => unknown)[] = [];

/** Runs after the file, the last one first. */
export function afterFile(step: () => unknown): void {
  steps.push(step);
}

export async function cleanUp(): Promise<void> {
  for (const step of steps.splice(0).reverse()) await step();
}
