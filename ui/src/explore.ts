// The page that finds metrics and charts them: it keeps finder, controls, charts and legend in step with the view.

import { align, type Table } from "./align.ts";
import * as api from "./api.ts";
import { usualMethod } from "./catalogue.ts";
import { Chart, type ChartEvents, type ChartLine } from "./chart.ts";
import { copyable } from "./clipboard.ts";
import { button, fill, h, setText } from "./dom.ts";
import { firstLine } from "./facts.ts";
import { Finder } from "./finder.ts";
import { Legend } from "./legend.ts";
import { choices, load, widthFor, type Known, type Line } from "./lines.ts";
import { Ticker } from "./live.ts";
import { onColoursChange, stroke } from "./palette.ts";
import { between, interval, zoom } from "./range.ts";
import { showRaw } from "./raw.ts";
import type { Store } from "./store.ts";
import { Toolbar } from "./toolbar.ts";
import { toQuery, type View } from "./view.ts";

const LIVE_MIN_MS = 2000;
const LIVE_MAX_MS = 10_000;
/** Attributes that every resource has and that are worth a group. */
const GROUPS = ["original_resource_id", "type", "project_id", "user_id", "creator"];

const now = (): number => Date.now() / 1000;

export class Explore {
  readonly element: HTMLElement;
  #store: Store;
  #finder: Finder;
  #toolbar: Toolbar;
  #legend: Legend;
  #charts: Chart[] = [];
  #shape = "";
  #lines: Line[] = [];
  #table: Table = { times: [], columns: [] };
  #known = new Map<string, Known>();
  #abort = new AbortController();
  #ticker: Ticker;
  #stage = h("div", { class: "stage" });
  #empty = h("div", { class: "empty" });
  #any: boolean | null = null;
  #deaf: () => void;
  #ended = new AbortController();

  constructor(store: Store) {
    this.#store = store;
    this.#finder = new Finder(store, { toggle: (id) => void this.#toggle(id), found: (any) => this.#found(any) });
    this.#toolbar = new Toolbar(store);
    this.#legend = new Legend({
      method: (index, method) => this.#choose(store.view.chosen.map((one, at) => (at === index ? { ...one, method } : one))),
      remove: (index) => this.#choose(store.view.chosen.filter((_, at) => at !== index)),
      raw: (line) => showRaw(`${line.name}, ${line.method}`, line.request),
      focus: (index) => this.#focus(index),
    });
    const toggle = button("Find metrics", () => this.#open(this.element.classList.toggle("finding")), { class: "opener", "aria-expanded": "false" });
    const charts = h("section", { class: "charts", "aria-label": "Charts" }, this.#toolbar.element, this.#empty, this.#stage, this.#legend.element);
    this.element = h("div", { class: "explore" }, toggle, this.#finder.element, charts);
    if (store.view.chosen.length === 0) this.#open(true);
    // What will be there has its place from the start, so that nothing jumps.
    else this.#rebuild(store.view.apart ? store.view.chosen.length : 1, store.view.apart);
    this.#toolbar.show(store.view, [], null, GROUPS);
    this.#legend.element.hidden = true;
    this.#hint();
    this.#deaf = store.listen((view, before) => void this.#changed(view, before));
    this.#ticker = new Ticker(() => this.#reload(), () => this.#pause());
    onColoursChange(() => this.#draw(), this.#ended.signal);
  }

  async start(): Promise<void> {
    await Promise.all([this.#finder.refresh(), this.#reload()]);
    this.#controls();
  }

  stop(): void {
    this.#deaf();
    this.#ended.abort();
    this.#abort.abort();
    this.#finder.stop();
    this.#ticker.stop();
    this.#charts.forEach((chart) => chart.destroy());
  }

  search(): void {
    this.#open(true);
    this.#finder.focus();
  }

  #open(open: boolean): void {
    this.element.classList.toggle("finding", open);
    this.element.querySelector(".opener")?.setAttribute("aria-expanded", String(open));
  }

  /** Milliseconds to the next look: a bucket, within bounds. */
  #pause(): number | null {
    const { live, range, chosen } = this.#store.view;
    if (!live || !("last" in range) || chosen.length === 0) return null;
    const width = Math.min(...this.#lines.map((line) => line.width), range.last);
    return Math.min(LIVE_MAX_MS, Math.max(LIVE_MIN_MS, width * 500));
  }

  async #changed(view: View, before: View): Promise<void> {
    // What is typed into the search box matters to the charts only where it says what is grouped.
    const drawn = (one: View): string => toQuery({ ...one, search: one.by === null ? "" : one.search });
    await Promise.all([this.#finder.show(view), drawn(view) === drawn(before) ? null : this.#reload()]);
  }

  #found(any: boolean): void {
    this.#any = any;
    this.#hint();
  }

  async #toggle(id: string): Promise<void> {
    const { chosen } = this.#store.view;
    if (chosen.some((one) => one.id === id)) return this.#choose(chosen.filter((one) => one.id !== id));
    const known = await this.#get(id);
    const methods = "metric" in known ? known.metric.archive_policy.aggregation_methods : [];
    this.#choose([...this.#store.view.chosen, { id, method: usualMethod(methods) }]);
  }

  #choose(chosen: View["chosen"]): void {
    this.#store.change({ chosen });
  }

  async #get(id: string): Promise<Known> {
    const known = this.#known.get(id);
    if (known && "metric" in known) return known;
    const got: Known = await api.metric(id).then((metric) => ({ metric }), (error: Error) => ({ problem: error.message }));
    this.#known.set(id, got);
    return got;
  }

  async #reload(): Promise<void> {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    const { view } = this.#store;
    const known = await Promise.all(view.chosen.map(({ id }) => this.#get(id)));
    if (signal.aborted) return;
    const shown = interval(view.range, now());
    const frame = { view, shown, now: now(), pointsMax: this.#pointsMax(), types: this.#finder.attributeTypes };
    try {
      this.#lines = await load(frame, known, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#table = align(this.#lines, shown.from, shown.to, view.fill);
    this.#controls();
    this.#draw();
  }

  /** About one bucket for each pixel. */
  #pointsMax(): number {
    return Math.max(400, this.#stage.clientWidth || 800);
  }

  #controls(): void {
    const { view } = this.#store;
    const known = view.chosen.flatMap(({ id }) => this.#known.get(id) ?? []);
    const available = choices(known);
    const used = widthFor({ ...view, width: null }, available, interval(view.range, now()), now(), this.#pointsMax());
    this.#toolbar.show(view, available, used, [...Object.keys(this.#finder.attributeTypes), ...GROUPS]);
  }

  #draw(): void {
    const { view } = this.#store;
    this.#hint();
    const parts = view.apart ? this.#lines.map((_, index) => [index]) : this.#lines.length > 0 ? [this.#lines.map((_, index) => index)] : [];
    this.#rebuild(parts.length, view.apart);
    const { from, to } = interval(view.range, now());
    parts.forEach((part, index) => {
      const columns = part.map((line) => this.#table.columns[line] ?? []);
      this.#charts[index]?.show(this.#table.times, columns, part.map((line) => this.#chartLine(line)), from, to);
    });
    this.#legend.show(this.#lines, this.#table.times, this.#table.columns);
  }

  #chartLine(index: number): ChartLine {
    const line = this.#lines[index];
    const label = [line?.name, line?.place, line?.method].filter(Boolean).join(" ");
    return { key: line?.key ?? "", label, unit: line?.unit ?? null, stroke: stroke(index), joined: this.#store.view.fill === "join" };
  }

  #rebuild(count: number, small: boolean): void {
    const shape = `${count} ${small}`;
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#charts.forEach((chart) => chart.destroy());
    this.#charts = Array.from({ length: count }, () => new Chart(this.#chartEvents(), small));
    fill(this.#stage, ...this.#charts.map((chart) => chart.element));
  }

  #chartEvents(): ChartEvents {
    return {
      select: (from, to) => this.#store.change({ range: between(from, to) }),
      zoom: (factor) => this.#store.change({ range: zoom(this.#store.view.range, factor, now()) }),
      cursor: (index) => this.#legend.cursor(index),
    };
  }

  #focus(index: number | null): void {
    if (!this.#store.view.apart) this.#charts[0]?.focus(index);
  }

  /** What to do where there is nothing to see. */
  #hint(): void {
    const nothing = this.#store.view.chosen.length === 0;
    this.#empty.hidden = !nothing;
    this.#toolbar.element.hidden = nothing;
    if (!nothing || this.#any === null) return;
    const state = this.#any === false ? "first" : "choose";
    if (this.#empty.dataset.state === state) return;
    this.#empty.dataset.state = state;
    if (state === "choose") {
      const text = h("p", {}, "Each one you press becomes a line. Drag over the chart to zoom; the address of this page always leads back to what you see.");
      const more = h("p", {}, "Yours is not there? One line is enough to make it:");
      return fill(this.#empty, h("h1", {}, "Choose metrics to see them here"), text, more, copyable(firstLine(), "line that sends a metric"));
    }
    const waiting = h("p", { class: "waiting", role: "status" });
    setText(waiting, "Waiting for it…");
    fill(this.#empty, h("h1", {}, "Send your first metric"), h("p", {}, "Run this on the machine where Orzo listens. The metric appears here within a second or two."),
      copyable(firstLine(), "line that sends a first metric"), waiting);
  }
}
