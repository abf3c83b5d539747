/** Seconds, from numbers with their units: 90s, 1h, 1h30m, 7d, 2w. Undefined for anything else. */
export function secondsIn(text: string): number | undefined {
  if (!/^(\d{1,9}[smhdw])+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdw])/g)) {
    seconds += Number(count) * (units[unit as keyof typeof units] as number);
  }
  return seconds;
}

const units = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;
