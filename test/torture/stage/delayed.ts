/** Acts in the order in which they were asked for, each after the delay that there was then. */
export function createDelayed(delayMs: () => number): (act: () => void) => void {
  const queue: { readonly at: number; readonly act: () => void }[] = [];
  const run = () => {
    while (queue[0] && queue[0].at <= performance.now()) queue.shift()?.act();
    if (queue[0]) setTimeout(run, Math.ceil(queue[0].at - performance.now()));
  };
  return (act) => {
    const delay = delayMs();
    if (delay === 0 && queue.length === 0) {
      act();
      return;
    }
    const at = Math.max(performance.now() + delay, queue.at(-1)?.at ?? 0);
    queue.push({ at, act });
    if (queue.length === 1) setTimeout(run, delay);
  };
}
