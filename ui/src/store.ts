// The view, and its address. Steps that a user would want to take back go into the history of the browser.

import { fromQuery, toQuery, type View } from "./view.ts";

export class Store {
  #view: View = fromQuery(location.search);
  #listeners = new Set<(view: View, before: View) => void>();

  constructor() {
    addEventListener("popstate", () => this.#set(fromQuery(location.search)));
  }

  get view(): View {
    return this.#view;
  }

  /** `replace`: not a step of its own, such as one more letter in the search box. */
  change(change: Partial<View>, replace = false): void {
    const view = { ...this.#view, ...change };
    const url = toQuery(view) || location.pathname;
    if (toQuery(view) !== toQuery(this.#view)) history[replace ? "replaceState" : "pushState"](null, "", url);
    this.#set(view);
  }

  /** Calls after each change; the answer ends that. */
  listen(listener: (view: View, before: View) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #set(view: View): void {
    const before = this.#view;
    this.#view = view;
    for (const listener of [...this.#listeners]) listener(view, before);
  }
}
