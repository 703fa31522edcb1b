// Lengths of time: as the API writes them ("1 day, 0:05:00"), as people do ("5 min"), and which bucket suits which range.

import type { Policy } from "./documents.ts";

const DAY = 86_400;

/** Seconds of `[D day[s], ]H:MM:SS[.ffffff]`. */
export function parseSpan(text: string): number {
  const match = /^(?:(\d+) days?, )?(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(text);
  if (!match) return NaN;
  const [, days, hours, minutes, seconds] = match;
  return Number(days ?? 0) * DAY + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

const UNITS: [name: string, seconds: number][] = [["d", DAY], ["h", 3600], ["min", 60], ["s", 1], ["ms", 0.001]];

/** Such as `5 min`, `90 s`, `1 d`: the largest unit of which it is a whole number. */
export function spanText(seconds: number): string {
  for (const [name, length] of UNITS) {
    const count = seconds / length;
    if (Math.abs(count - Math.round(count)) < 1e-9 && Math.round(count) > 0) return `${Math.round(count)} ${name}`;
  }
  return `${seconds} s`;
}

/** A width of buckets, and how far back they are kept; `null`: for ever. */
export interface Width {
  seconds: number;
  kept: number | null;
}

/** Widths of a policy, finest first. */
export function widths(policy: Policy): Width[] {
  const items = policy.definition.map((item) => ({
    seconds: parseSpan(item.granularity),
    kept: item.timespan === null ? null : parseSpan(item.timespan),
  }));
  return items.sort((a, b) => a.seconds - b.seconds);
}

/** Widths that all policies have; each is kept as long as in the one that keeps it shortest. */
export function commonWidths(policies: Policy[]): Width[] {
  const [first, ...others] = policies.map(widths);
  return (first ?? []).flatMap((width) => {
    const same = others.map((list) => list.find((other) => other.seconds === width.seconds));
    if (same.includes(undefined)) return [];
    const kept = [width, ...same].map((one) => one?.kept ?? Infinity);
    const shortest = Math.min(...kept);
    return [{ seconds: width.seconds, kept: shortest === Infinity ? null : shortest }];
  });
}

/**
 * The finest width that covers a range with at most so many buckets and is kept for long enough. If none is, the one that
 * comes nearest: the finest that reaches back far enough, else the coarsest.
 */
export function suitableWidth(list: Width[], range: number, reach: number, pointsMax: number): number | null {
  const reaching = list.filter((width) => width.kept === null || width.kept >= reach);
  const fitting = reaching.find((width) => range / width.seconds <= pointsMax);
  return (fitting ?? reaching.at(-1) ?? list.at(-1))?.seconds ?? null;
}
