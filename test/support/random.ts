/** Numbers that look random and are the same in every run with the same seed (mulberry32). */
export interface Random {
  /** A whole number, from 0 to below `end`. */
  below(end: number): number;
  pick<T>(list: readonly T[]): T;
}

export function createRandom(seed: number): Random {
  let state = seed;
  const below = (end: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * end);
  };
  return { below, pick: (list) => list[below(list.length)] as (typeof list)[number] };
}
