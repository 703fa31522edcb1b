// What the page shows, and how that is written into its address: whoever gets the address sees the same.

import type { Fill } from "./align.ts";
import type { Range } from "./range.ts";

export interface Chosen {
  /** Id of a metric. */
  id: string;
  /** Method of aggregation. */
  method: string;
}

export interface View {
  page: "explore" | "loss";
  /** Text of the search box. */
  search: string;
  /** Resource type in which is searched. */
  type: string;
  chosen: Chosen[];
  range: Range;
  /** Width of buckets in seconds; `null`: as suits the range. */
  width: number | null;
  fill: Fill;
  /** One chart for each line. */
  apart: boolean;
  live: boolean;
  /** Attribute by which resources are grouped. */
  by: string | null;
  /** Method across the metrics of a group. */
  across: string;
}

export const START: View = {
  page: "explore",
  search: "",
  type: "generic",
  chosen: [],
  range: { last: 3600 },
  width: null,
  fill: "gap",
  apart: false,
  live: true,
  by: null,
  across: "sum",
};

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID_CHARS = 36;
const METHOD = /^[a-z0-9:]+$/;
export const FILLS: Fill[] = ["gap", "zero", "hold", "join"];
export const ACROSS = ["sum", "mean", "min", "max", "median", "std", "count"];

/** The query of the address; what is as at the start is left out. */
export function toQuery(view: View): string {
  const query = new URLSearchParams();
  const put = (key: string, value: string, usual: string): void => {
    if (value !== usual) query.append(key, value);
  };
  put("page", view.page, START.page);
  put("type", view.type, START.type);
  put("q", view.search, START.search);
  for (const { id, method } of view.chosen) query.append("m", `${id}.${method}`);
  if ("last" in view.range) put("last", String(view.range.last), "3600");
  else {
    query.append("from", String(view.range.from));
    query.append("to", String(view.range.to));
  }
  put("width", String(view.width ?? ""), "");
  put("fill", view.fill, START.fill);
  put("apart", view.apart ? "1" : "", "");
  put("live", view.live ? "" : "0", "");
  put("by", view.by ?? "", "");
  put("across", view.across, START.across);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** Back from an address; what cannot be read is as at the start. */
export function fromQuery(text: string): View {
  const query = new URLSearchParams(text);
  return {
    page: query.get("page") === "loss" ? "loss" : "explore",
    search: query.get("q") ?? START.search,
    type: query.get("type") || START.type,
    chosen: query.getAll("m").flatMap(chosen),
    range: range(query),
    width: positive(query.get("width")),
    fill: FILLS.find((fill) => fill === query.get("fill")) ?? START.fill,
    apart: query.get("apart") === "1",
    live: query.get("live") !== "0",
    by: query.get("by") || null,
    across: ACROSS.find((method) => method === query.get("across")) ?? START.across,
  };
}

function chosen(text: string): Chosen[] {
  const [id, method] = [text.slice(0, ID_CHARS), text.slice(ID_CHARS + 1)];
  return ID.test(id) && METHOD.test(method) ? [{ id, method }] : [];
}

function range(query: URLSearchParams): Range {
  const [from, to] = [positive(query.get("from")), positive(query.get("to"))];
  if (from !== null && to !== null && from < to) return { from, to };
  const last = positive(query.get("last"));
  return last === null ? START.range : { last };
}

function positive(text: string | null): number | null {
  const number = Number(text);
  return text && Number.isFinite(number) && number > 0 ? number : null;
}
