// The lines of a chart: which requests they take, and what came of them.

import * as api from "./api.ts";
import { resourceLabel } from "./catalogue.ts";
import type { Measure, Metric } from "./documents.ts";
import { keepsUnit } from "./numbers.ts";
import type { ApiRequest } from "./requests.ts";
import type { Interval } from "./range.ts";
import { commonWidths, suitableWidth, widths, type Width } from "./spans.ts";
import type { View } from "./view.ts";
import { literalGlob, parseSearch, type Types } from "./words.ts";

/** More than these no eye tells apart. */
const GROUPS_MAX = 24;

export interface Line {
  key: string;
  /** What it is of: a metric, or a group. */
  name: string;
  /** Where that belongs. */
  place: string;
  method: string;
  /** Index of what was chosen, if it is that. */
  chosen: number | null;
  methods: string[];
  unit: string | null;
  width: number;
  request: ApiRequest;
  measures: Measure[];
  problem: string | null;
}

/** A chosen metric; a problem instead if it is not to be had. */
export type Known = { metric: Metric } | { problem: string };

/** Widths that can be chosen for all of them. */
export function choices(known: Known[]): Width[] {
  return commonWidths(policies(known));
}

function policies(known: Known[]): Metric["archive_policy"][] {
  return known.flatMap((one) => ("metric" in one ? [one.metric.archive_policy] : []));
}

/** The width that is used: the one that was chosen if there is such, else one that suits. */
export function widthFor(view: View, available: Width[], shown: Interval, now: number, pointsMax: number): number | null {
  if (available.some((width) => width.seconds === view.width)) return view.width;
  return suitableWidth(available, shown.to - shown.from, now - shown.from, pointsMax);
}

interface Frame {
  view: View;
  shown: Interval;
  now: number;
  pointsMax: number;
  types: Types;
}

export async function load(frame: Frame, known: Known[], signal: AbortSignal): Promise<Line[]> {
  const shared = choices(known);
  if (frame.view.by === null) {
    return Promise.all(known.map((one, index) => single(frame, one, index, shared, signal)));
  }
  const loaded = await Promise.all(groupings(frame, known).map((grouping) => grouped(frame, grouping, shared, signal)));
  return loaded.flat();
}

async function single(frame: Frame, known: Known, index: number, shared: Width[], signal: AbortSignal): Promise<Line> {
  const chosen = frame.view.chosen[index] ?? { id: "", method: "" };
  const key = `${chosen.id}.${chosen.method}`;
  const blank = { key, place: "", method: chosen.method, chosen: index, methods: [chosen.method], unit: null, measures: [] };
  if ("problem" in known) {
    const request: ApiRequest = { method: "GET", path: `/v1/metric/${chosen.id}` };
    return { ...blank, name: chosen.id, width: 60, request, problem: known.problem };
  }
  const { metric } = known;
  const available = shared.length > 0 ? shared : widths(metric.archive_policy);
  const width = widthFor(frame.view, available, frame.shown, frame.now, frame.pointsMax) ?? 60;
  const request = api.measuresRequest(metric.id, chosen.method, width, frame.shown.from, stop(frame));
  const line: Line = {
    ...blank,
    name: metric.name ?? metric.id,
    place: metric.resource ? resourceLabel(metric.resource) : "",
    methods: metric.archive_policy.aggregation_methods,
    unit: keepsUnit(chosen.method) ? metric.unit : null,
    width,
    request,
    problem: null,
  };
  return settle(line, async () => ({ measures: await api.measures(request, signal) }), signal);
}

/** An end only if it lies in the past: the newest bucket is open, and wanted. */
function stop(frame: Frame): number | null {
  return "last" in frame.view.range ? null : frame.shown.to;
}

async function settle(line: Line, get: () => Promise<Partial<Line>>, signal: AbortSignal): Promise<Line> {
  try {
    return { ...line, ...(await get()) };
  } catch (error) {
    if (signal.aborted) throw error;
    return { ...line, problem: (error as Error).message };
  }
}

/** One for each different name and method among what was chosen. */
function groupings({ view, types }: Frame, known: Known[]): (api.Grouping & { unit: string | null })[] {
  const { filter } = parseSearch(view.search, types);
  const found = new Map<string, api.Grouping & { unit: string | null }>();
  known.forEach((one, index) => {
    const method = view.chosen[index]?.method;
    if (!("metric" in one) || !one.metric.name || !method || view.by === null) return;
    const name = literalGlob(one.metric.name);
    const unit = keepsUnit(method) && keepsUnit(view.across) ? one.metric.unit : null;
    found.set(`${name} ${method}`, { type: view.type, filter, by: view.by, across: view.across, name, method, unit });
  });
  return [...found.values()];
}

async function grouped(
  frame: Frame,
  grouping: api.Grouping & { unit: string | null },
  shared: Width[],
  signal: AbortSignal,
): Promise<Line[]> {
  const width = widthFor(frame.view, shared, frame.shown, frame.now, frame.pointsMax) ?? 60;
  const request = api.groupRequest(grouping, width, frame.shown.from, stop(frame));
  const { name, method, across, by, unit } = grouping;
  const place = `${across} of ${name}`;
  const blank: Line = {
    key: `${name}.${method}`, name: by, place, method, chosen: null, methods: [method], unit, width, request,
    measures: [], problem: null,
  };
  try {
    const groups = await api.groups(request, signal);
    const more = groups.length > GROUPS_MAX ? `${place}, ${GROUPS_MAX} of ${groups.length} groups` : place;
    const lines = groups.map(({ group, measures }) => {
      const label = Object.values(group).map((value) => (value === null ? "none" : String(value))).join(", ");
      return { ...blank, key: `${blank.key}.${label}`, name: label, place: more, measures: measures.measures.aggregated };
    });
    return lines.slice(0, GROUPS_MAX);
  } catch (error) {
    if (signal.aborted) throw error;
    return [{ ...blank, problem: (error as Error).message }];
  }
}
