// What a search found: metrics by resource, narrowed by words, in an order that does not jump.

import type { Metric, Resource } from "./documents.ts";
import { matches } from "./words.ts";

export interface Found {
  resource: Resource | null;
  metrics: { id: string; name: string }[];
}

export interface Listing {
  found: Found[];
  /** Metrics that fit the search. */
  metrics: number;
  /** Those that are not in `found`, for there are too many. */
  more: number;
}

const names = new Intl.Collator("en", { numeric: true });
/** Past so many names their order is that of the API: people scroll no further, and comparing as they do takes its time. */
const SORTED_MAX = 5000;

/** Text in which words are looked for. */
function searchable(resource: Resource | null, name: string): string {
  if (resource === null) return name;
  return `${resourceLabel(resource)} ${name} ${attributes(resource).map(([, value]) => value).join(" ")}`;
}

/** Resources and metrics without one whose names hold all words; at most so many metrics. */
export function listing(resources: Resource[], alone: Metric[], words: string[], most: number): Listing {
  const groups = [...resources].sort((a, b) => names.compare(resourceLabel(a), resourceLabel(b))).map((resource) => ({
    resource,
    metrics: Object.entries(resource.metrics ?? {}).map(([name, id]) => ({ id, name })),
  }));
  const orphans = alone.map((metric) => ({ id: metric.id, name: metric.name ?? metric.id }));
  const found: Found[] = [];
  let metrics = 0;
  for (const group of [...groups, { resource: null, metrics: orphans }]) {
    const fitting = group.metrics.filter((metric) => matches(words, searchable(group.resource, metric.name)));
    const room = Math.max(0, most - metrics);
    metrics += fitting.length;
    if (fitting.length <= SORTED_MAX) fitting.sort((a, b) => names.compare(a.name, b.name));
    if (fitting.length > 0 && room > 0) found.push({ resource: group.resource, metrics: fitting.slice(0, room) });
  }
  return { found, metrics, more: Math.max(0, metrics - most) };
}

export function resourceLabel(resource: Resource): string {
  return resource.original_resource_id || resource.id;
}

const BASE = new Set([
  "id",
  "original_resource_id",
  "type",
  "metrics",
  "creator",
  "created_by_user_id",
  "created_by_project_id",
  "started_at",
  "ended_at",
  "revision_start",
  "revision_end",
]);

/** Attributes worth showing, as text. */
export function attributes(resource: Resource): [name: string, value: string][] {
  const own = Object.entries(resource).filter(([name, value]) => !BASE.has(name) && value !== null && value !== "");
  return own.map(([name, value]) => [name, String(value)]);
}

/** Method with which a metric is shown first. */
export function usualMethod(methods: string[]): string {
  return ["mean", "last", "sum"].find((method) => methods.includes(method)) ?? methods[0] ?? "mean";
}
