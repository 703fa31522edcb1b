// Colours of lines: from the style sheet, so that both modes have their own. Past the last colour they come again with
// dashes, so that no two of sixteen lines look the same, whoever looks.

export const COLOURS = 8;

const DASHES: (number[] | undefined)[] = [undefined, [7, 4], [2, 3]];

export interface Stroke {
  colour: string;
  dash: number[] | undefined;
}

export function stroke(index: number): Stroke {
  return { colour: variable(`--line-${(index % COLOURS) + 1}`), dash: DASHES[Math.floor(index / COLOURS) % DASHES.length] };
}

export function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Calls when the colours change, until the signal. */
export function onColoursChange(call: () => void, signal: AbortSignal): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call, { signal });
}
