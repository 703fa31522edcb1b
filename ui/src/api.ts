// Asking the daemon. Failures come as `Refused` with a sentence for people.

import type { Grouped, Measure, Metric, Resource, ResourceType, Status } from "./documents.ts";
import { base, facts } from "./facts.ts";
import { target, type ApiRequest } from "./requests.ts";
import * as session from "./session.ts";
import type { Filter } from "./words.ts";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Called when the daemon wants to know who asks. */
export const onUnauthorized: { call: () => void } = { call: () => {} };

interface Answer {
  body: unknown;
  /** Path of the next page of a list. */
  next: string | null;
}

async function send(request: ApiRequest, signal: AbortSignal | null): Promise<Response> {
  const init: RequestInit = {
    method: request.method,
    // With its own headers the page needs no cookies, and the browser must not ask for a password of its own.
    credentials: facts.auth === "remoteuser" ? "same-origin" : "omit",
    headers: { Accept: "application/json", ...session.headers() },
    cache: "no-store",
    signal,
  };
  if (request.body !== undefined) {
    init.headers = { ...init.headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(request.body);
  }
  try {
    return await fetch(`${base}${target(request)}`, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "The daemon does not answer.");
  }
}

async function ask(request: ApiRequest, signal: AbortSignal | null = null): Promise<Answer> {
  const response = await send(request, signal);
  const text = await response.text();
  if (response.status === 401) onUnauthorized.call();
  if (!response.ok) throw new Refused(response.status, refusal(response.status, text));
  const link = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  return { body: parse(text), next: link ?? null };
}

/** JSON, with the bare words for numbers that are none. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replace(/-?\bInfinity\b|\bNaN\b/g, "null"));
  }
}

function refusal(status: number, text: string): string {
  if (status === 401) return "Sign in to go on.";
  if (status === 403) return "You may not see this.";
  try {
    const { description } = JSON.parse(text) as { description: unknown };
    if (typeof description === "string" && description !== "") return description;
    if (typeof description === "object" && description !== null) {
      const { cause, reason } = description as { cause?: string; reason?: string };
      return [cause, reason].filter(Boolean).join(": ");
    }
  } catch {
    // Not JSON: a proxy in front answered.
  }
  return `The answer was ${status}.`;
}

export async function raw(request: ApiRequest): Promise<unknown> {
  return (await ask(request)).body;
}

/** Follows a list over pages, up to so many; says whether there are more. */
async function pages<T>(first: ApiRequest, most: number, signal: AbortSignal): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let request: ApiRequest | null = first;
  for (let page = 0; page < most && request; page += 1) {
    const answer: Answer = await ask(request, signal);
    items.push(...(answer.body as T[]));
    request = answer.next === null ? null : { ...first, query: [...new URL(answer.next).searchParams] };
  }
  return { items, more: request !== null };
}

const PAGES_MAX = 5;

export function searchResources(
  type: string,
  filter: Filter | null,
  signal: AbortSignal,
): Promise<{ items: Resource[]; more: boolean }> {
  const request: ApiRequest = {
    method: "POST",
    path: `/v1/search/resource/${encodeURIComponent(type)}`,
    query: [["details", "true"]],
    body: filter ?? {},
  };
  return pages(request, PAGES_MAX, signal);
}

/** Metrics that belong to no resource: the first page of a list in which they come first. */
export async function metricsAlone(signal: AbortSignal): Promise<Metric[]> {
  const query: [string, string][] = [["sort", "resource_id:asc-nullsfirst"], ["sort", "id:asc"]];
  const { items } = await pages<Metric>({ method: "GET", path: "/v1/metric", query }, 1, signal);
  return items.filter((metric) => metric.resource_id === null);
}

export async function resourceTypes(): Promise<ResourceType[]> {
  return (await ask({ method: "GET", path: "/v1/resource_type" })).body as ResourceType[];
}

export async function metric(id: string): Promise<Metric> {
  return (await ask({ method: "GET", path: `/v1/metric/${id}` })).body as Metric;
}

/** An interval, in whole seconds; the API floors its start to the bucket. */
function bounds(from: number, to: number | null): [string, string][] {
  const start: [string, string] = ["start", String(Math.floor(from))];
  return to === null ? [start] : [start, ["stop", String(Math.ceil(to))]];
}

export function measuresRequest(id: string, method: string, width: number, from: number, to: number | null): ApiRequest {
  const query: [string, string][] = [["aggregation", method], ["granularity", String(width)], ...bounds(from, to)];
  return { method: "GET", path: `/v1/metric/${id}/measures`, query };
}

export interface Grouping {
  type: string;
  filter: Filter | null;
  by: string;
  across: string;
  /** Pattern of names. */
  name: string;
  method: string;
}

export function groupRequest(grouping: Grouping, width: number, from: number, to: number | null): ApiRequest {
  const { type, filter, by, across, name, method } = grouping;
  return {
    method: "POST",
    path: "/v1/aggregates",
    query: [["groupby", by], ["granularity", String(width)], ["fill", "null"], ...bounds(from, to)],
    body: {
      resource_type: type,
      search: filter ?? {},
      operations: ["aggregate", across, ["metric", name, method]],
    },
  };
}

export async function measures(request: ApiRequest, signal: AbortSignal): Promise<Measure[]> {
  return (await ask(request, signal)).body as Measure[];
}

export async function groups(request: ApiRequest, signal: AbortSignal): Promise<Grouped[]> {
  return (await ask(request, signal)).body as Grouped[];
}

export async function status(): Promise<Status> {
  return (await ask({ method: "GET", path: "/v1/status", query: [["details", "false"]] })).body as Status;
}

/** The daemon's own counters; nobody has to say who asks. */
export async function scrape(): Promise<string> {
  const response = await send({ method: "GET", path: "/metrics" }, null);
  if (!response.ok) throw new Refused(response.status, refusal(response.status, await response.text()));
  return response.text();
}
