/**
 * Waits for `done`, but no longer than `ms`. It goes on: who can interrupt it does so.
 * @returns whether it was done by then
 * @throws what `done` throws, if it does so in time
 */
export async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, ms, "late");
  });
  try {
    return (await Promise.race([done, late])) !== "late";
  } finally {
    clearTimeout(timer);
  }
}
