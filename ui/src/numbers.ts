// Numbers with units, short enough for an axis and exact enough for a table.

const MINUS = "−";

interface Scale {
  base: number;
  prefixes: string[];
}

const SI: Scale = { base: 1000, prefixes: ["", "k", "M", "G", "T", "P"] };
const BINARY: Scale = { base: 1024, prefixes: ["", "Ki", "Mi", "Gi", "Ti", "Pi"] };

/** Durations by their unit, in seconds. */
const DURATIONS: Record<string, number> = { ns: 1e-9, us: 1e-6, "µs": 1e-6, ms: 1e-3, s: 1 };
const DURATION_STEPS: [name: string, seconds: number][] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
  ["ms", 1e-3],
  ["µs", 1e-6],
  ["ns", 1e-9],
];

const BYTES = new Set(["B", "byte", "bytes", "octets"]);

/** Whether a unit counts by powers of two. */
export function isBytes(unit: string | null): boolean {
  return unit !== null && BYTES.has(unit);
}

/** Whether a method of aggregation keeps the unit of what it aggregates. */
export function keepsUnit(method: string): boolean {
  return !/(^|:)(count|var)$/.test(method);
}

/** A value, such as `1.25 k`, `3.2 MiB`, `42 %`; a dash for none. */
export function valueText(value: number | null | undefined, unit: string | null = null, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  if (unit !== null && unit in DURATIONS) return durationText(value * (DURATIONS[unit] ?? 1), digits);
  if (isBytes(unit)) return scaled(value, BINARY, "B", digits);
  return scaled(value, SI, unit ?? "", digits);
}

/** A whole number in full, its digits in groups. */
export function countText(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** So many a second. */
export function rateText(perSecond: number | null, unit = ""): string {
  return perSecond === null ? "–" : `${valueText(perSecond, unit === "" ? null : unit, 3)}/s`;
}

function scaled(value: number, scale: Scale, unit: string, digits: number): string {
  let index = 0;
  let size = value;
  while (Math.abs(size) >= scale.base * 0.99995 && index < scale.prefixes.length - 1) {
    size /= scale.base;
    index += 1;
  }
  const suffix = `${scale.prefixes[index] ?? ""}${unit}`;
  return suffix === "" ? plain(size, digits) : `${plain(size, digits)} ${suffix}`;
}

function durationText(seconds: number, digits: number): string {
  if (seconds === 0) return "0 s";
  const step = DURATION_STEPS.find(([, length]) => Math.abs(seconds) >= length * 0.99995) ?? ["ns", 1e-9];
  return `${plain(seconds / step[1], digits)} ${step[0]}`;
}

function plain(value: number, digits: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-4) return value.toExponential(Math.max(0, digits - 3)).replace("-", MINUS);
  return Number(value.toPrecision(digits)).toString().replace("-", MINUS);
}

/** Ends of an axis for values between two bounds: from zero, unless that would flatten the line. */
export function axisRange(min: number, max: number): [low: number, high: number] {
  if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  const spread = max - min;
  const nearZero = (near: number, far: number): boolean => spread === 0 || Math.abs(near) < 0.75 * Math.abs(far);
  const pad = spread === 0 ? Math.abs(max) * 0.1 || 1 : spread * 0.06;
  if (min >= 0 && nearZero(min, max)) return [0, max === 0 ? 1 : max * 1.06];
  if (max <= 0 && nearZero(max, min)) return [min * 1.06, 0];
  return [min - pad, max + pad];
}
