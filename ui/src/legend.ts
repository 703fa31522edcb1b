// The legend: a row for each line, with the value at the cursor and what the whole span comes to. Rows are made when the
// lines change; while the cursor moves only texts change, in columns that keep their width.

import { summary, valueAt, type Cell } from "./align.ts";
import { fill, h, offer, setText } from "./dom.ts";
import type { Line } from "./lines.ts";
import { valueText } from "./numbers.ts";
import { stroke } from "./palette.ts";
import { spanText } from "./spans.ts";
import { instantText } from "./times.ts";

export interface LegendEvents {
  method(chosen: number, method: string): void;
  remove(chosen: number): void;
  raw(line: Line): void;
  focus(index: number | null): void;
}

interface Row {
  now: HTMLElement;
  rest: HTMLElement[];
}

export class Legend {
  readonly element: HTMLElement;
  #body = h("tbody");
  #when = h("span", { class: "when" });
  #rows: Row[] = [];
  #lines: Line[] = [];
  #columns: Cell[][] = [];
  #times: number[] = [];
  #signature = "";
  #events: LegendEvents;

  constructor(events: LegendEvents) {
    this.#events = events;
    const heading = (text: string, kind: string): HTMLElement => h("th", { scope: "col", class: kind }, text);
    const head = h("tr", {}, heading("Line", ""), heading("Method", ""), h("th", { scope: "col", class: "number now" }, this.#when),
      ...["min", "mean", "max"].map((name) => heading(name, "number rest")), h("th", {}, h("span", { class: "unseen" }, "Actions")));
    this.element = h("table", { class: "legend" }, h("caption", { class: "unseen" }, "Lines of the chart"), h("thead", {}, head), this.#body);
  }

  show(lines: Line[], times: number[], columns: Cell[][]): void {
    this.element.hidden = lines.length === 0;
    const signature = JSON.stringify(lines.map(({ key, name, place, method, problem, unit }) => [key, name, place, method, problem, unit]));
    [this.#lines, this.#columns, this.#times] = [lines, columns, times];
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#rows = [];
      fill(this.#body, ...lines.map((line, index) => this.#row(line, index)));
    }
    this.#sums();
    this.cursor(null);
  }

  /** Values at an instant; `null`: the newest. */
  cursor(index: number | null): void {
    const at = index === null ? undefined : this.#times[index];
    setText(this.#when, at === undefined ? "newest" : instantText(at, this.#lines[0]?.width));
    this.#rows.forEach((row, number) => {
      const cells = this.#columns[number] ?? [];
      const value = index === null ? summary(cells).last : valueAt(cells, index);
      setText(row.now, valueText(value, this.#lines[number]?.unit ?? null));
    });
  }

  #sums(): void {
    this.#rows.forEach((row, number) => {
      const { min, mean, max } = summary(this.#columns[number] ?? []);
      const unit = this.#lines[number]?.unit ?? null;
      [min, mean, max].forEach((value, index) => {
        const cell = row.rest[index];
        if (cell) setText(cell, valueText(value, unit));
      });
    });
  }

  #row(line: Line, index: number): HTMLElement {
    const now = h("td", { class: "number now" });
    const rest = [0, 1, 2].map(() => h("td", { class: "number rest" }));
    this.#rows.push({ now, rest });
    const name = h("span", { class: "name" }, line.name);
    const place = h("span", { class: "place" }, [line.place, `per ${spanText(line.width)}`.replaceAll(" ", "\u00a0")].filter(Boolean).join(" · "));
    const problem = line.problem === null ? null : h("span", { class: "problem", role: "alert" }, line.problem);
    const label = h("div", { class: "what" }, swatch(index), h("div", {}, name, place, problem));
    return h(
      "tr",
      { on: { mouseenter: () => this.#events.focus(index), mouseleave: () => this.#events.focus(null) } },
      h("th", { scope: "row" }, label),
      h("td", {}, this.#methods(line)),
      now,
      ...rest,
      h("td", { class: "acts" }, ...this.#actions(line)),
    );
  }

  #methods(line: Line): HTMLElement {
    const { chosen } = line;
    if (chosen === null || line.methods.length < 2) return h("span", {}, line.method);
    const choose = (): void => this.#events.method(chosen, list.value);
    const list = h("select", { "aria-label": `Method of ${line.name}`, on: { change: choose } });
    offer(list, line.methods.map((method) => [method, method]), line.method);
    return list;
  }

  #actions(line: Line): HTMLElement[] {
    const { chosen } = line;
    const raw = h("button", { type: "button", class: "quiet", title: "JSON and curl", "aria-label": `JSON and curl of ${line.name}`,
      on: { click: () => this.#events.raw(line) } }, "{ }");
    if (chosen === null) return [raw];
    const remove = h("button", { type: "button", class: "quiet", title: "Remove", "aria-label": `Remove ${line.name}`,
      on: { click: () => this.#events.remove(chosen) } }, "×");
    return [raw, remove];
  }
}

function swatch(index: number): SVGElement {
  const { colour, dash } = stroke(index);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const set = (element: Element, values: Record<string, string>): void =>
    Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
  set(svg, { viewBox: "0 0 20 10", class: "swatch", "aria-hidden": "true" });
  set(line, { x1: "0", x2: "20", y1: "5", y2: "5", stroke: colour, "stroke-width": "3", "stroke-dasharray": dash?.join(" ") ?? "none" });
  svg.append(line);
  return svg;
}
