// The documents of the API, as far as the page reads them.

export interface PolicyItem {
  granularity: string;
  points: number | null;
  timespan: string | null;
}

export interface Policy {
  name: string;
  definition: PolicyItem[];
  aggregation_methods: string[];
}

export interface Metric {
  id: string;
  name: string | null;
  unit: string | null;
  archive_policy: Policy;
  /** Only in the answer about one metric. */
  resource?: Resource | null;
  /** Only in lists. */
  resource_id?: string | null;
}

export interface Resource {
  id: string;
  original_resource_id: string;
  type: string;
  /** Id by name; not in the answer about one metric. */
  metrics?: Record<string, string>;
  [attribute: string]: unknown;
}

export interface ResourceType {
  name: string;
  attributes: Record<string, { type: string }>;
}

/** Start of the bucket, its width in seconds, value. */
export type Measure = [time: string, width: number, value: number | null];

export interface Grouped {
  group: Record<string, unknown>;
  measures: { measures: { aggregated: Measure[] } };
}

export interface Status {
  storage: { summary: { metrics: number; measures: number } };
  metricd: { processors: string[] };
  /** Why the store takes no writes, if it does not. */
  store: { failure: string | null };
}
