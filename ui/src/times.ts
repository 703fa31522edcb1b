// Instants as text, in the zone of whoever looks, by the 24-hour clock.

const LOCALE = "en-GB";

const format = (options: Intl.DateTimeFormatOptions): ((seconds: number) => string) => {
  const formatter = new Intl.DateTimeFormat(LOCALE, { hourCycle: "h23", ...options });
  return (seconds) => formatter.format(new Date(seconds * 1000));
};

const clock = format({ hour: "2-digit", minute: "2-digit" });
const clockSeconds = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = format({ day: "numeric", month: "short" });
const dayYear = format({ day: "numeric", month: "short", year: "numeric" });

/** One instant in full; seconds only if a bucket is shorter than a minute. */
export function instantText(seconds: number, width = 1): string {
  if (width >= 86_400) return dayYear(seconds);
  return `${day(seconds)}, ${width < 60 ? clockSeconds(seconds) : clock(seconds)}`;
}

/** A span, with what both ends share said once. */
export function intervalText(from: number, to: number): string {
  const sameDay = dayYear(from) === dayYear(to);
  const end = sameDay ? clock(to) : `${day(to)}, ${clock(to)}`;
  return `${day(from)}, ${clock(from)} – ${end}`;
}

/** Labels of an axis: the day where it changes, and nothing finer than the distance of the labels. */
export function axisLabels(ticks: number[], distance: number): string[] {
  return ticks.map((tick, index) => {
    if (distance >= 86_400) return day(tick);
    const before = ticks[index - 1];
    const time = distance < 60 ? clockSeconds(tick) : clock(tick);
    const changed = before === undefined ? false : day(before) !== day(tick);
    return changed ? `${time}\n${day(tick)}` : time;
  });
}

/** Such as `Europe/Rome, UTC+2`. */
export function zoneText(now = new Date()): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const minutes = -now.getTimezoneOffset();
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const offset = minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${rest}` : ""}`;
  return zone === "UTC" || !zone ? offset : `${zone}, ${offset}`;
}

/** How long ago: `3 s`, `12 min`. */
export function ageText(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
