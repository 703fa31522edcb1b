// The controls above the charts. They show the view and ask for changes of it.

import type { Fill } from "./align.ts";
import { button, h, offer, select, setText, type Option } from "./dom.ts";
import { interval, pan, PRESETS, zoom } from "./range.ts";
import { spanText, type Width } from "./spans.ts";
import type { Store } from "./store.ts";
import { intervalText } from "./times.ts";
import { ACROSS, type View } from "./view.ts";

const FILL_NAMES: Option[] = [["gap", "left open"], ["zero", "zero"], ["hold", "value before"], ["join", "drawn over"]];

const now = (): number => Date.now() / 1000;

export class Toolbar {
  readonly element: HTMLElement;
  #store: Store;
  #presets: [HTMLButtonElement, number][];
  #shown = h("output", { class: "shown", "aria-label": "Shown time" });
  #width: HTMLLabelElement;
  #fill: HTMLLabelElement;
  #by: HTMLLabelElement;
  #across: HTMLLabelElement;
  #apart: HTMLInputElement;
  #live: HTMLInputElement;

  constructor(store: Store) {
    this.#store = store;
    this.#presets = PRESETS.map(([label, last]) => [button(label, () => store.change({ range: { last } })), last]);
    const choose = (label: string, change: (value: string) => Partial<View>): HTMLLabelElement =>
      select(label, [], "", (value) => store.change(change(value)));
    this.#width = choose("Bucket", (value) => ({ width: value === "" ? null : Number(value) }));
    this.#fill = choose("Gaps", (value) => ({ fill: value as Fill }));
    this.#by = choose("Group by", (value) => ({ by: value === "" ? null : value }));
    this.#across = choose("Groups show", (value) => ({ across: value }));
    this.#apart = check(() => store.change({ apart: this.#apart.checked }));
    this.#live = check(() => store.change({ live: this.#live.checked }));
    this.element = h("section", { class: "toolbar", "aria-label": "What the charts show" }, this.#time(), this.#shape());
  }

  #time(): HTMLElement {
    const move = (text: string, label: string, change: () => Partial<View>): HTMLElement =>
      button(text, () => this.#store.change(change()), { "aria-label": label, title: label });
    const presets = h("div", { class: "segments", role: "group", "aria-label": "Last" }, ...this.#presets.map(([element]) => element));
    const range = (): View["range"] => this.#store.view.range;
    const steps = h("div", { class: "segments", role: "group", "aria-label": "Move and zoom" },
      move("‹", "Earlier", () => ({ range: pan(range(), -0.5, now()) })),
      move("›", "Later", () => ({ range: pan(range(), 0.5, now()) })),
      move("−", "Zoom out", () => ({ range: zoom(range(), 2, now()) })),
      move("+", "Zoom in", () => ({ range: zoom(range(), 0.5, now()) })));
    const live = h("label", { class: "switch" }, this.#live, h("span", {}, "Live"));
    return h("div", { class: "row" }, presets, steps, this.#shown, live);
  }

  #shape(): HTMLElement {
    const apart = h("label", { class: "switch" }, this.#apart, h("span", {}, "Chart for each"));
    return h("div", { class: "row" }, this.#width, this.#fill, this.#by, this.#across, apart);
  }

  /** `used`: the width that came of "auto". */
  show(view: View, available: Width[], used: number | null, attributes: string[]): void {
    for (const [element, last] of this.#presets) {
      element.setAttribute("aria-pressed", String("last" in view.range && view.range.last === last));
    }
    const { from, to } = interval(view.range, now());
    setText(this.#shown, intervalText(from, to));
    const auto: Option = ["", used === null ? "auto" : `auto: ${spanText(used)}`];
    const exact = available.map(({ seconds }): Option => [String(seconds), spanText(seconds)]);
    offer(list(this.#width), [auto, ...exact], String(view.width ?? ""));
    offer(list(this.#fill), FILL_NAMES, view.fill);
    offer(list(this.#by), [["", "nothing"], ...attributes.map((name): Option => [name, name])], view.by ?? "");
    offer(list(this.#across), ACROSS.map((name): Option => [name, name]), view.across);
    this.#across.hidden = view.by === null;
    this.#apart.checked = view.apart;
    this.#live.checked = view.live && "last" in view.range;
    this.#live.disabled = !("last" in view.range);
  }
}

function list(label: HTMLLabelElement): HTMLSelectElement {
  const found = label.querySelector("select");
  if (!found) throw new Error("a choice has a list");
  return found;
}

function check(change: () => void): HTMLInputElement {
  return h("input", { type: "checkbox", role: "switch", on: { change } });
}
