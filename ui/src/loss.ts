// "Is anything lost?": the accounts of what came in, who carries it, and the limits, live from the daemon's own counters.

import * as api from "./api.ts";
import { Chart } from "./chart.ts";
import { fill, h, type Child } from "./dom.ts";
import { by, largest, parseScrape, total, type Scrape } from "./exposition.ts";
import { facts } from "./facts.ts";
import { accounts, losses, lost, perSecond, type Account } from "./ledger.ts";
import { Ticker } from "./live.ts";
import { countText, rateText, valueText } from "./numbers.ts";
import { stroke } from "./palette.ts";
import * as session from "./session.ts";
import { ageText } from "./times.ts";
import type { Status } from "./documents.ts";

const EVERY_MS = 2000;
/** Looks that are kept: five minutes. */
const KEPT = 150;

interface Look {
  at: number;
  scrape: Scrape;
}

export class LossPage {
  readonly element: HTMLElement;
  #looks: Look[] = [];
  #verdict = h("section", { class: "verdict", role: "status" });
  #accounts = h("div", { class: "accounts" });
  #losses = h("div", { class: "scroll" });
  #chart: Chart;
  #now = h("p", { class: "now-line" });
  #listeners = h("div", { class: "scroll" });
  #shards = h("div", { class: "scroll" });
  #limits = h("dl", { class: "limits" });
  #all = h("div", { class: "scroll" });
  #details: HTMLDetailsElement;
  #ticker: Ticker;

  constructor() {
    this.#chart = new Chart({ select: () => {}, zoom: () => {}, cursor: (index) => this.#read(index) }, true);
    this.#details = h("details", { on: { toggle: () => this.#everything() } }, h("summary", {}, "Every counter of the daemon"), this.#all);
    const part = (title: string, ...children: Child[]): HTMLElement => h("section", { class: "part" }, h("h2", {}, title), ...children);
    const raw = h("a", { href: new URL("../metrics", location.href).href, target: "_blank", rel: "noopener" }, "as Prometheus reads it");
    this.element = h("div", { class: "loss" }, this.#verdict, this.#accounts,
      part("Lines a second", this.#chart.element, this.#now),
      part("What was lost, by reason", this.#losses),
      part("Listeners", this.#listeners), part("Shards", this.#shards), part("Store and limits", this.#limits),
      h("section", { class: "part" }, this.#details, h("p", { class: "soft" }, "All of this, ", raw, ".")));
    this.#ticker = new Ticker(() => this.#look(), () => EVERY_MS);
  }

  async start(): Promise<void> {
    await this.#look();
  }

  stop(): void {
    this.#ticker.stop();
    this.#chart.destroy();
  }

  async #look(): Promise<void> {
    try {
      const [text, status] = await Promise.all([api.scrape(), session.isSignedIn() ? api.status().catch(() => null) : null]);
      this.#looks.push({ at: Date.now() / 1000, scrape: parseScrape(text) });
      this.#looks.splice(0, this.#looks.length - KEPT);
      this.#show(status);
    } catch (error) {
      this.#verdict.className = "verdict bad";
      fill(this.#verdict, h("h1", {}, "The daemon does not answer"), h("p", {}, (error as Error).message));
    }
  }

  #show(status: Status | null): void {
    const look = this.#looks.at(-1);
    if (!look) return;
    const list = accounts(look.scrape);
    this.#judge(list, total(look.scrape, "orzo_store_failed") > 0, status?.store.failure ?? null);
    fill(this.#accounts, ...list.map(ledger));
    this.#lossTable(look.scrape);
    this.#draw();
    this.#carriers("listener", this.#listeners, LISTENER_COLUMNS);
    this.#carriers("shard", this.#shards, SHARD_COLUMNS);
    this.#bounds(look.scrape, status);
    this.#everything();
  }

  #judge(list: Account[], storeFailed: boolean, why: string | null): void {
    if (storeFailed) {
      this.#verdict.className = "verdict bad";
      const text = "Samples are refused and counted, posts get 503, reads go on. The daemon tries again by itself.";
      return fill(this.#verdict, h("h1", {}, "The store takes no writes"), h("p", {}, text), why !== null && h("p", {}, h("code", {}, why)));
    }
    const count = lost(list);
    const before = this.#looks[0];
    const recent = before ? count - lost(accounts(before.scrape)) : 0;
    const whole = list.reduce((sum, one) => sum + one.whole.value, 0);
    this.#verdict.className = count === 0 ? "verdict good" : recent > 0 ? "verdict bad" : "verdict past";
    const heading = count === 0 ? "Nothing is lost" : recent > 0 ? "Something is being lost" : "Something was lost, but not since you opened this page";
    const text = whole === 0 ? "Nothing has come in yet since the daemon started."
      : count === 0 ? "All that reached this machine since the daemon started is stored, or on its way."
      : `${countText(count)} refused or dropped since the daemon started${recent > 0 ? `, ${countText(recent)} of them while you look` : ""}. Each has a reason below.`;
    fill(this.#verdict, h("h1", {}, heading), h("p", {}, text));
  }

  #lossTable(scrape: Scrape): void {
    const list = losses(scrape);
    if (list.length === 0) return fill(this.#losses, h("p", { class: "soft" }, "No line, datagram, sample or measure so far."));
    const before = this.#before();
    const earlier = new Map((before ? losses(before.scrape) : []).map((loss) => [`${loss.what} ${loss.reason}`, loss.count]));
    const seconds = this.#seconds();
    const rows = list.map(({ what, reason, count, advice }) => h("tr", {},
      h("th", { scope: "row" }, h("code", {}, reason), h("span", { class: "soft" }, ` ${what}`)),
      h("td", { class: "number" }, countText(count)),
      h("td", { class: "number" }, rateText(perSecond(count, earlier.get(`${what} ${reason}`) ?? (before ? 0 : undefined), seconds))),
      h("td", { class: "advice" }, advice)));
    fill(this.#losses, table("Losses", ["Reason", "Lost", "Now", "What it means"], rows), prefixes(scrape));
  }

  /** The look a few seconds ago: rates are over that time. */
  #before(): Look | undefined {
    return this.#looks.at(-6) ?? (this.#looks.length > 1 ? this.#looks[0] : undefined);
  }

  #seconds(): number {
    return (this.#looks.at(-1)?.at ?? 0) - (this.#before()?.at ?? 0);
  }

  #rate(name: string, labels: Record<string, string> = {}): number | null {
    const [look, before] = [this.#looks.at(-1), this.#before()];
    if (!look || !before) return null;
    return perSecond(total(look.scrape, name, labels), total(before.scrape, name, labels), this.#seconds());
  }

  #carriers(label: string, place: HTMLElement, columns: Column[]): void {
    const scrape = this.#looks.at(-1)?.scrape;
    const members = [...by(scrape ?? new Map(), columns[0]?.name ?? "", label).keys()];
    const cell = (column: Column, member: string): HTMLElement => {
      const value = total(scrape ?? new Map(), column.name, { [label]: member });
      const text = column.rate ? rateText(this.#rate(column.name, { [label]: member }), column.unit ?? "") : (column.text ?? countText)(value);
      return h("td", { class: column.bad && value > 0 ? "number bad" : "number" }, text);
    };
    const rows = members.map((member) => h("tr", {}, h("th", { scope: "row" }, `${label} ${member}`), ...columns.map((column) => cell(column, member))));
    fill(place, table(`By ${label}`, ["", ...columns.map((column) => column.title)], rows));
  }

  #bounds(scrape: Scrape, status: Status | null): void {
    const series = total(scrape, "orzo_statsd_series");
    const entry = (name: string, value: string, part: number | null = null): HTMLElement =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value), part === null ? null : meter(name, part));
    const list = [
      entry("Statsd series, of the limit", `${countText(series)} of ${countText(facts.series_max)}`, series / Math.max(1, facts.series_max)),
      entry("Series in memory", countText(total(scrape, "orzo_series"))),
      entry("Memory", valueText(total(scrape, "orzo_memory_bytes"), "B", 3)),
      entry("Oldest measure not yet in a rollup", ageText(largest(scrape, "orzo_oldest_dirty_seconds"))),
      entry("Log written", rateText(this.#rate("orzo_backlog_bytes_total"), "B")),
      entry("Receive buffer of a socket", valueText(largest(scrape, "orzo_statsd_receive_buffer_bytes"), "B", 3)),
      entry("Connections open", countText(total(scrape, "orzo_statsd_connections"))),
      entry("Connections refused", countText(total(scrape, "orzo_statsd_connections_refused_total"))),
      entry("Checkpoints failed", countText(total(scrape, "orzo_checkpoints_failed_total"))),
      entry("Damaged values passed over", countText(total(scrape, "orzo_damaged_total"))),
    ];
    if (status) {
      list.push(entry("Batches waiting", countText(status.storage.summary.measures)), entry("Processors", status.metricd.processors.join(", ")));
    }
    fill(this.#limits, ...list);
  }

  #everything(): void {
    const scrape = this.#looks.at(-1)?.scrape;
    if (!this.#details.open || !scrape) return;
    const rows = [...scrape].map(([name, family]) => h("tr", { title: family.help }, h("th", { scope: "row" }, h("code", {}, name)),
      h("td", { class: "number" }, countText(total(scrape, name))), h("td", { class: "advice" }, family.help)));
    fill(this.#all, table("Counters", ["Name", "Sum", "Meaning"], rows));
  }

  #draw(): void {
    const pairs = this.#looks.slice(1).map((look, index): [Look, Look] => [this.#looks[index] ?? look, look]);
    const rates = (name: string): (number | null)[] =>
      pairs.map(([before, look]) => perSecond(total(look.scrape, name), total(before.scrape, name), look.at - before.at));
    const columns = [rates("orzo_statsd_accepted_total"), rates("orzo_statsd_dropped_total")];
    const line = (label: string, index: number) => ({ key: label, label, unit: null, stroke: stroke(index), joined: true });
    const newest = this.#looks.at(-1)?.at ?? 0;
    this.#chart.show(pairs.map(([, look]) => look.at), columns, [line("accepted lines a second", 0), line("refused lines a second", 1)],
      newest - (KEPT * EVERY_MS) / 1000, newest);
    this.#read(null);
  }

  #read(index: number | null): void {
    const at = this.#looks[index === null ? this.#looks.length - 1 : index + 1];
    const before = this.#looks[(index === null ? this.#looks.length - 1 : index + 1) - 1];
    const rate = (name: string): string =>
      rateText(at && before ? perSecond(total(at.scrape, name), total(before.scrape, name), at.at - before.at) : null);
    const mark = (kind: string, text: string): HTMLElement => h("span", { class: `key ${kind}` }, text);
    fill(this.#now, mark("first", `accepted ${rate("orzo_statsd_accepted_total")}`), mark("second", `refused ${rate("orzo_statsd_dropped_total")}`));
  }
}

interface Column {
  title: string;
  name: string;
  rate?: boolean;
  unit?: string;
  /** More than none is worth an eye. */
  bad?: boolean;
  text?: (value: number) => string;
}

const LISTENER_COLUMNS: Column[] = [
  { title: "Datagrams", name: "orzo_statsd_datagrams_total", rate: true },
  { title: "Lines", name: "orzo_statsd_lines_total", rate: true },
  { title: "Bytes", name: "orzo_statsd_bytes_total", rate: true, unit: "B" },
  { title: "Kernel drops", name: "orzo_statsd_kernel_drops_total", bad: true },
  { title: "Refused", name: "orzo_statsd_dropped_total", bad: true },
  { title: "Waits for a batch", name: "orzo_statsd_pool_waits_total" },
  { title: "Socket errors", name: "orzo_statsd_socket_errors_total", bad: true },
];

const SHARD_COLUMNS: Column[] = [
  { title: "Samples", name: "orzo_samples_received_total", rate: true },
  { title: "Pending", name: "orzo_samples_pending" },
  { title: "Refused", name: "orzo_samples_dropped_total", bad: true },
  { title: "Series", name: "orzo_series" },
  { title: "Not in a rollup", name: "orzo_series_dirty" },
  { title: "Oldest of them", name: "orzo_oldest_dirty_seconds", text: ageText },
  { title: "Commits", name: "orzo_commits_total", rate: true },
  { title: "Stalled", name: "orzo_commits_stalled_total", bad: true },
];

/** An account as an equation: what came = where it went. */
function ledger({ title, whole, parts, missing }: Account): HTMLElement {
  const row = (sign: string, kind: string, name: string, value: number): HTMLElement =>
    h("div", { class: value === 0 ? `term ${kind} none` : `term ${kind}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign),
      h("dt", {}, name), h("dd", {}, countText(value)));
  const settled = missing === 0;
  return h("section", { class: "account" }, h("h2", {}, title),
    h("dl", {}, row("", "whole", whole.name, whole.value), ...parts.map((part, index) => row(index === 0 ? "=" : "+", part.kind, part.name, part.value))),
    h("p", { class: settled ? "sum good" : "sum" }, settled ? "✓ adds up" : `${countText(Math.abs(missing))} between two counters just now`));
}

/** The prefixes whose new series were refused most, if any were. */
function prefixes(scrape: Scrape): HTMLElement | null {
  const refused = [...by(scrape, "orzo_statsd_series_refused_total", "prefix")].filter(([, count]) => count > 0);
  if (refused.length === 0) return null;
  const rows = refused.sort(([, a], [, b]) => b - a).map(([prefix, count]) => h("tr", {},
    h("th", { scope: "row" }, prefix === "" ? "all others" : h("code", {}, prefix)), h("td", { class: "number" }, countText(count))));
  return table("Prefixes whose new series were refused", ["Prefix", "New series refused"], rows);
}

function meter(name: string, part: number): HTMLElement {
  return h("meter", { min: 0, max: 1, high: 0.9, low: 0.75, optimum: 0, value: Math.min(1, part), "aria-label": name });
}

/** Titles of columns that hold sentences. */
const PROSE = new Set(["What it means", "Meaning"]);

function table(caption: string, titles: string[], rows: HTMLElement[]): HTMLElement {
  return h("table", {}, h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, ...titles.map((title, index) => h("th", { scope: "col", class: index === 0 || PROSE.has(title) ? "" : "number" }, title)))),
    h("tbody", {}, ...rows));
}
