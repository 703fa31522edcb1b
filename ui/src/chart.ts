// One chart: lines over time, drawn by uPlot. It tells where the cursor is and which span was selected; what follows from
// that is for others to decide.

import uPlot from "uplot";
import { alone, type Cell } from "./align.ts";
import { h } from "./dom.ts";
import { axisRange, isBytes, valueText } from "./numbers.ts";
import { variable, type Stroke } from "./palette.ts";
import { axisLabels } from "./times.ts";

export interface ChartLine {
  key: string;
  label: string;
  unit: string | null;
  stroke: Stroke;
  /** Whether a gap is drawn over. */
  joined: boolean;
}

export interface ChartEvents {
  select(from: number, to: number): void;
  zoom(factor: number): void;
  /** `null`: the cursor has left. */
  cursor(index: number | null): void;
}

const HEIGHT = 340;
const HEIGHT_SMALL = 170;
const AXIS_WIDTH = 70;
const SELECTION_MIN_PX = 6;

/** Distances between labels of bytes, so that they come out round. */
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** Charts of one page share their cursor. */
const SHARED = uPlot.sync("orzo");

export class Chart {
  readonly element: HTMLElement;
  #plot: uPlot | null = null;
  #signature = "";
  #times: number[] = [];
  #size: ResizeObserver;
  #events: ChartEvents;
  #small: boolean;

  constructor(events: ChartEvents, small: boolean) {
    this.#events = events;
    this.#small = small;
    this.element = h("div", {
      class: small ? "chart small" : "chart",
      tabindex: 0,
      role: "group",
      "aria-roledescription": "chart",
      on: { keydown: (event) => this.#key(event), blur: () => this.#leave(), dblclick: () => events.zoom(3) },
    });
    this.#size = new ResizeObserver(() => this.#plot?.setSize(this.#extent()));
    this.#size.observe(this.element);
  }

  show(times: number[], columns: Cell[][], lines: ChartLine[], from: number, to: number): void {
    const signature = JSON.stringify([lines, variable("--ink")]);
    const data = [times, ...columns] as uPlot.AlignedData;
    this.#times = times;
    if (signature !== this.#signature) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(lines), data, this.element);
      this.#signature = signature;
    } else {
      this.#plot?.setData(data, false);
    }
    this.#plot?.setScale("x", { min: from, max: to });
    this.element.setAttribute("aria-label", `${describe(lines)}. Left and right move the cursor, plus and minus zoom.`);
  }

  /** Dims all lines but one. */
  focus(index: number | null): void {
    this.#plot?.setSeries(index === null ? null : index + 1, { focus: index !== null });
  }

  destroy(): void {
    this.#size.disconnect();
    this.#plot?.destroy();
    this.element.remove();
  }

  #extent(): { width: number; height: number } {
    return { width: Math.max(200, this.element.clientWidth), height: this.#small ? HEIGHT_SMALL : HEIGHT };
  }

  #options(lines: ChartLine[]): uPlot.Options {
    const unit = lines.every((line) => line.unit === lines[0]?.unit) ? (lines[0]?.unit ?? null) : null;
    const only = lines.length === 1;
    return {
      ...this.#extent(),
      legend: { show: false },
      padding: [12, 26, 0, 0],
      focus: { alpha: 0.25 },
      cursor: {
        y: false,
        sync: { key: SHARED.key },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => null },
        points: { size: 7, width: 2 },
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, min, max) => axisRange(min, max) } },
      axes: [timeAxis(), valueAxis(unit)],
      series: [{}, ...lines.map((line) => series(line, only))],
      hooks: {
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [(plot) => this.#events.cursor(plot.cursor.idx ?? null)],
      },
    };
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < SELECTION_MIN_PX) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#events.select(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }

  #key(event: KeyboardEvent): void {
    const step = event.shiftKey ? 10 : 1;
    if (event.key === "ArrowLeft") this.#move(-step);
    else if (event.key === "ArrowRight") this.#move(step);
    else if (event.key === "Escape") this.#leave();
    else if (event.key === "+" || event.key === "=") this.#events.zoom(0.5);
    else if (event.key === "-") this.#events.zoom(2);
    else return;
    event.preventDefault();
  }

  #move(step: number): void {
    const plot = this.#plot;
    if (!plot || this.#times.length === 0) return;
    const last = this.#times.length - 1;
    const index = Math.min(last, Math.max(0, (plot.cursor.idx ?? last + (step < 0 ? 1 : 0)) + step));
    const left = plot.valToPos(this.#times[index] ?? 0, "x");
    plot.setCursor({ left, top: plot.over.clientHeight / 2 });
  }

  #leave(): void {
    this.#plot?.setCursor({ left: -10, top: -10 });
  }
}

function describe(lines: ChartLine[]): string {
  return `Chart of ${lines.map((line) => line.label).join(", ") || "nothing"}`;
}

function axis(): uPlot.Axis {
  return {
    stroke: variable("--ink-soft"),
    font: `12px ${variable("--font")}`,
    grid: { stroke: variable("--grid"), width: 1 },
    ticks: { show: false },
  };
}

function timeAxis(): uPlot.Axis {
  return { ...axis(), space: 80, size: 38, gap: 8, values: (_, ticks, __, ___, distance) => axisLabels(ticks, distance) };
}

function valueAxis(unit: string | null): uPlot.Axis {
  const values = (_: uPlot, ticks: number[]): string[] => ticks.map((tick) => valueText(tick, unit, 4));
  return { ...axis(), size: AXIS_WIDTH, gap: 8, space: 44, values, ...(isBytes(unit) ? { incrs: POWERS_OF_TWO } : {}) };
}

function series(line: ChartLine, only: boolean): uPlot.Series {
  return {
    label: line.label,
    stroke: line.stroke.colour,
    width: 2,
    spanGaps: line.joined,
    points: { size: 6, filter: (plot, index, show) => (show ? null : alone(plot.data[index] as Cell[])) },
    ...(line.stroke.dash ? { dash: line.stroke.dash } : {}),
    ...(only ? { fill: `${line.stroke.colour}1f` } : {}),
  };
}
