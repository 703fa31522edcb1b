// The span of time that is shown: the last so many seconds, which moves with the clock, or from one instant to another.

export type Range = { last: number } | { from: number; to: number };

export interface Interval {
  from: number;
  to: number;
}

/** Offered as buttons. */
export const PRESETS: [label: string, seconds: number][] = [
  ["15 min", 900],
  ["1 h", 3600],
  ["6 h", 21_600],
  ["24 h", 86_400],
  ["7 d", 604_800],
  ["30 d", 2_592_000],
];

const SHORTEST = 10;
const LONGEST = 10 * 366 * 86_400;

/** The instants, in seconds since the epoch. */
export function interval(range: Range, now: number): Interval {
  return "last" in range ? { from: now - range.last, to: now } : { from: range.from, to: range.to };
}

/** Shifted by a part of its length; what would end past now moves with the clock instead. */
export function pan(range: Range, part: number, now: number): Range {
  const { from, to } = interval(range, now);
  const by = (to - from) * part;
  return settle({ from: from + by, to: to + by }, now);
}

/** Longer or shorter by a factor, around its middle; what moves with the clock keeps doing so. */
export function zoom(range: Range, factor: number, now: number): Range {
  const { from, to } = interval(range, now);
  const length = Math.min(LONGEST, Math.max(SHORTEST, (to - from) * factor));
  if ("last" in range) return { last: Math.round(length) };
  const middle = (from + to) / 2;
  return settle({ from: middle - length / 2, to: middle + length / 2 }, now);
}

/** Between two instants, in whole seconds and not too short. */
export function between(from: number, to: number): Range {
  const [first, second] = [Math.floor(Math.min(from, to)), Math.ceil(Math.max(from, to))];
  return { from: first, to: Math.max(second, first + SHORTEST) };
}

function settle({ from, to }: Interval, now: number): Range {
  if (to >= now) return { last: Math.round(to - from) };
  return between(from, to);
}
