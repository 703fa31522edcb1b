// The finder: resources and their metrics, by type, by conditions on attributes and by words of their names.

import * as api from "./api.ts";
import { attributes, listing, resourceLabel, type Found, type Listing } from "./catalogue.ts";
import { button, fill, h, select, offer, setText } from "./dom.ts";
import type { Metric, Resource, ResourceType } from "./documents.ts";
import { Ticker } from "./live.ts";
import { countText } from "./numbers.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";
import { parseSearch, type Types } from "./words.ts";

/** Metrics in the list. */
const SHOWN_MAX = 400;
/** Past so many the list is looked up again only when asked. */
const REFRESH_MAX = 5000;
const REFRESH_MS = 10_000;
const REFRESH_EMPTY_MS = 2000;
const TYPING_MS = 200;

export interface FinderEvents {
  toggle(id: string): void;
  /** Something was found, or it is known that there is nothing. */
  found(any: boolean): void;
}

export class Finder {
  readonly element: HTMLElement;
  #store: Store;
  #events: FinderEvents;
  #types: ResourceType[] = [];
  #resources: Resource[] = [];
  #alone: Metric[] = [];
  #truncated = false;
  #loaded = false;
  /** Whether an answer is awaited, which a second question would only delay. */
  #looking = false;
  #shown = "";
  #asked = "";
  #abort = new AbortController();
  #input: HTMLInputElement;
  #type: HTMLLabelElement;
  #summary = h("p", { class: "summary", role: "status" });
  #list = h("div", { class: "found" });
  #ticker: Ticker;
  #typing: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store, events: FinderEvents) {
    this.#store = store;
    this.#events = events;
    this.#input = h("input", { type: "search", id: "search", placeholder: "Words, or host=web1", spellcheck: "false",
      autocomplete: "off", "aria-describedby": "search-help", value: store.view.search, on: { input: () => this.#typed() } });
    this.#type = select("Type", [], "", (type) => store.change({ type, by: null }));
    const help = h("details", { class: "help" }, h("summary", {}, "How to search"), h("p", { id: "search-help" },
      "Words stand in names. Conditions narrow by attribute: ", h("code", {}, "host=web1"), ", ", h("code", {}, "host~web*"), ", ",
      h("code", {}, "cores>=4"), ", ", h("code", {}, "ended_at="), " for none. Press / to come here."));
    this.element = h("section", { class: "finder", "aria-label": "Find metrics" },
      h("div", { class: "search" }, h("label", { for: "search", class: "unseen" }, "Search metrics and resources"), this.#input, this.#type),
      help, this.#summary, this.#list);
    const pause = (): number | null => {
      if (this.#looking) return null;
      if (this.#count() === 0) return REFRESH_EMPTY_MS;
      return this.#count() > REFRESH_MAX ? null : REFRESH_MS;
    };
    this.#ticker = new Ticker(() => this.refresh(), pause);
  }

  /** Types of the attributes of the type that is searched. */
  get attributeTypes(): Types {
    const type = this.#types.find((one) => one.name === this.#store.view.type);
    return Object.fromEntries(Object.entries(type?.attributes ?? {}).map(([name, { type }]) => [name, type]));
  }

  stop(): void {
    this.#ticker.stop();
    this.#abort.abort();
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  /** The view has changed. */
  async show(view: View): Promise<void> {
    if (document.activeElement !== this.#input) this.#input.value = view.search;
    this.#render(view);
    if (this.#question(view) !== this.#asked) await this.refresh();
  }

  async refresh(): Promise<void> {
    const { view } = this.#store;
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#looking = true;
    try {
      if (this.#types.length === 0) this.#types = await api.resourceTypes();
      this.#asked = this.#question(view);
      const { filter } = parseSearch(view.search, this.attributeTypes);
      const everything = view.type === "generic" && filter === null;
      const [{ items, more }, alone] = await Promise.all([
        api.searchResources(view.type, filter, abort.signal),
        everything ? api.metricsAlone(abort.signal) : [],
      ]);
      [this.#resources, this.#alone, this.#truncated, this.#loaded] = [items, alone, more, true];
      this.#render(this.#store.view);
      if (everything) this.#events.found(this.#count() > 0);
    } catch (error) {
      if (!abort.signal.aborted) setText(this.#summary, (error as Error).message);
    } finally {
      if (abort === this.#abort) this.#looking = false;
    }
  }

  #count(): number {
    return this.#resources.reduce((sum, one) => sum + Object.keys(one.metrics ?? {}).length, this.#alone.length);
  }

  /** What is asked of the daemon: words are looked for here. */
  #question(view: View): string {
    return JSON.stringify([view.type, parseSearch(view.search, this.attributeTypes).filter]);
  }

  #typed(): void {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#store.change({ search: this.#input.value }, true), TYPING_MS);
  }

  #render(view: View): void {
    const names = new Set(["generic", ...this.#types.map((type) => type.name), view.type]);
    const list = this.#type.querySelector("select");
    if (list) offer(list, [...names].map((name) => [name, name === "generic" ? "all types" : name]), view.type);
    if (!this.#loaded) return;
    const { words } = parseSearch(view.search);
    const result = listing(this.#resources, this.#alone, words, SHOWN_MAX);
    setText(this.#summary, summaryText(result, this.#truncated, view));
    const chosen = new Set(view.chosen.map(({ id }) => id));
    const key = JSON.stringify(result.found.map(({ resource, metrics }) => [resource, metrics]));
    if (key !== this.#shown) {
      this.#shown = key;
      fill(this.#list, ...result.found.map((found) => this.#group(found)));
    }
    for (const toggle of this.#list.querySelectorAll<HTMLElement>("button[data-id]")) {
      toggle.setAttribute("aria-pressed", String(chosen.has(toggle.dataset.id ?? "")));
    }
  }

  #group({ resource, metrics }: Found): HTMLElement {
    const title = resource === null ? "without a resource" : resourceLabel(resource);
    const kind = resource === null || resource.type === "generic" ? null : h("span", { class: "kind" }, resource.type);
    const marks = resource === null ? [] : attributes(resource).map(([name, value]) => h("span", { class: "mark" }, `${name}=${value}`));
    const toggle = (metric: { id: string; name: string }): HTMLElement =>
      h("li", {}, button(metric.name, () => this.#events.toggle(metric.id), { "data-id": metric.id, class: "metric" }));
    return h("section", { "aria-label": title }, h("h3", {}, h("span", { class: "title" }, title), kind),
      marks.length > 0 && h("p", { class: "marks" }, ...marks), h("ul", {}, ...metrics.map(toggle)));
  }
}

function summaryText({ metrics, more }: Listing, truncated: boolean, view: View): string {
  if (metrics === 0) return view.search === "" ? "No metrics yet." : "Nothing fits. Fewer words find more.";
  const count = `${countText(metrics)} ${metrics === 1 ? "metric" : "metrics"}`;
  if (truncated) return `${count} of the first resources; there are more: narrow the search by an attribute.`;
  return more > 0 ? `${count}, the first ${SHOWN_MAX} shown: narrow the search.` : count;
}
