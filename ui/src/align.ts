// From measures of many lines, each with buckets of its own width, to columns over one list of instants.

import type { Measure } from "./documents.ts";

/** What stands where a bucket has no measure. */
export type Fill = "gap" | "zero" | "hold" | "join";

export interface Line {
  width: number;
  measures: Measure[];
}

/** A value, `null` for a gap, `undefined` where the line has no bucket that starts here. */
export type Cell = number | null | undefined;

export interface Table {
  times: number[];
  columns: Cell[][];
}

/** Buckets between two instants, those that hold them included. */
function starts(width: number, from: number, to: number): number[] {
  const list = [];
  for (let start = Math.floor(from / width) * width; start <= to; start += width) list.push(start);
  return list;
}

function column(line: Line, times: number[], fill: Fill): Cell[] {
  const found = new Map(line.measures.map(([time, , value]) => [Date.parse(time) / 1000, value]));
  let held: number | null = null;
  return times.map((time) => {
    if (!isStart(time, line.width)) return undefined;
    const value = found.get(time) ?? null;
    if (value !== null) held = value;
    if (value !== null || fill === "gap") return value;
    if (fill === "zero") return 0;
    return fill === "hold" ? held : undefined;
  });
}

function isStart(time: number, width: number): boolean {
  return Math.abs(time - Math.round(time / width) * width) < 1e-6;
}

/** Lines side by side. Widths differ rarely; where they do, a coarser line has cells at its own starts only. */
export function align(lines: Line[], from: number, to: number, fill: Fill): Table {
  const all = new Set<number>();
  for (const width of new Set(lines.map((line) => line.width))) {
    for (const start of starts(width, from, to)) all.add(start);
  }
  const times = [...all].sort((a, b) => a - b);
  return { times, columns: lines.map((line) => column(line, times, fill)) };
}

/** Values between gaps: a line through them has no length, so they need a dot. */
export function alone(cells: Cell[]): number[] {
  const cellsOfLine = cells.flatMap((cell, index) => (cell === undefined ? [] : [{ cell, index }]));
  const isGap = (at: number): boolean => (cellsOfLine[at]?.cell ?? null) === null;
  return cellsOfLine.flatMap(({ index }, at) => (!isGap(at) && isGap(at - 1) && isGap(at + 1) ? [index] : []));
}

export interface Summary {
  last: number | null;
  min: number | null;
  mean: number | null;
  max: number | null;
}

/** Of the values that are there. */
export function summary(cells: Cell[]): Summary {
  const values = cells.filter((cell): cell is number => typeof cell === "number" && Number.isFinite(cell));
  if (values.length === 0) return { last: null, min: null, mean: null, max: null };
  const min = values.reduce((a, b) => Math.min(a, b));
  const max = values.reduce((a, b) => Math.max(a, b));
  return { last: values.at(-1) ?? null, min, mean: values.reduce((a, b) => a + b) / values.length, max };
}

/** The value at an instant, or the newest before it. */
export function valueAt(cells: Cell[], index: number): number | null {
  const cell = cells[index];
  if (cell !== undefined) return cell;
  for (let before = index - 1; before >= 0; before -= 1) {
    const earlier = cells[before];
    if (earlier !== undefined) return earlier;
  }
  return null;
}
