// Prometheus text format, as far as the daemon writes it.

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

export interface Family {
  help: string;
  type: string;
  samples: Sample[];
}

/** Families by name. */
export type Scrape = Map<string, Family>;

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parseScrape(text: string): Scrape {
  const scrape: Scrape = new Map();
  const family = (name: string): Family => {
    const known = scrape.get(name) ?? { help: "", type: "untyped", samples: [] };
    scrape.set(name, known);
    return known;
  };
  for (const line of text.split("\n")) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      family(name ?? "")[kind === "HELP" ? "help" : "type"] = rest ?? "";
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (!sample) continue;
    const [, name, labels, value] = sample;
    const pairs = [...(labels ?? "").matchAll(LABEL)].map(([, key, text]) => [key, unescape(text ?? "")]);
    family(name ?? "").samples.push({ labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return scrape;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

/** Sum over the samples of a family whose labels are these. */
export function total(scrape: Scrape, name: string, labels: Record<string, string> = {}): number {
  const wanted = Object.entries(labels);
  const samples = scrape.get(name)?.samples ?? [];
  const fits = (sample: Sample): boolean => wanted.every(([key, value]) => sample.labels[key] === value);
  return samples.filter(fits).reduce((sum, sample) => sum + sample.value, 0);
}

/** Largest over the samples of a family; 0 if there is none. */
export function largest(scrape: Scrape, name: string): number {
  return Math.max(0, ...(scrape.get(name)?.samples ?? []).map((sample) => sample.value));
}

/** Sums by the value of one label, in the order in which they come. */
export function by(scrape: Scrape, name: string, label: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { labels, value } of scrape.get(name)?.samples ?? []) {
    const key = labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums;
}
