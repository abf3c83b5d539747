/** Pairs of users who pay each other, both ways at once, for a while. */
import { type ApiReply, count, openApiLoad } from "./load.ts";

export interface HotPairResult {
  readonly made: number;
  readonly outcomes: Record<string, number>;
  readonly perSecond: number;
}

/** 64 transfers of 1 in flight, spread over the pairs; each pair is paid one way as often as the other. */
export async function runHotPair(
  urls: readonly string[],
  pairs: readonly (readonly [number, number])[],
  durationMs: number,
): Promise<HotPairResult> {
  const load = openApiLoad(urls, 64);
  const outcomes: string[] = [];
  const startedAt = performance.now();
  const next = (socket: number, before: ApiReply | undefined) => {
    if (before) outcomes.push(before.outcome);
    if (performance.now() - startedAt > durationMs) return undefined;
    // Sockets 0 and 1 go to different servers: by twos, so that both servers see both ways.
    const [a, b] = pairs[(socket >> 2) % pairs.length] as readonly [number, number];
    const [from, to] = (socket >> 1) % 2 === 0 ? [a, b] : [b, a];
    return { path: "/api/transfers", body: { from, to, amount: 1 } };
  };
  try {
    await load.drive(next);
  } finally {
    await load.close();
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const counts = count(outcomes);
  const made = counts["201"] ?? 0;
  return { made, outcomes: counts, perSecond: Math.round(made / seconds) };
}
