// The accounts of what came in: each stage as an equation that must hold, and what was lost by reason. The equations are
// those of docs/metrics.md.

import { by, total, type Scrape } from "./exposition.ts";

export interface Term {
  name: string;
  value: number;
  /** What it means for whoever looks: it is fine, it is on its way, it is lost. */
  kind: "kept" | "pending" | "lost";
}

/** `whole` is what came; the parts are where it went. */
export interface Account {
  title: string;
  whole: Term;
  parts: Term[];
  /** The whole less its parts; what the daemon counts while we read may show for a moment. */
  missing: number;
}

function account(title: string, came: string, whole: number, parts: Term[]): Account {
  const missing = whole - parts.reduce((sum, part) => sum + part.value, 0);
  return { title, whole: { name: came, value: whole, kind: "kept" }, parts, missing };
}

export function accounts(scrape: Scrape): Account[] {
  const of = (name: string): number => total(scrape, name);
  const term = (name: string, kind: Term["kind"], value: number): Term => ({ name, value, kind });
  const [read, kernel] = [of("orzo_statsd_datagrams_total"), of("orzo_statsd_kernel_drops_total")];
  return [
    account("Datagrams", "sent to us", read + kernel, [
      term("read", "kept", read),
      term("dropped by the kernel", "lost", kernel),
    ]),
    account("Lines", "read", of("orzo_statsd_lines_total"), [
      term("accepted", "kept", of("orzo_statsd_accepted_total")),
      term("events and checks, not stored", "kept", of("orzo_statsd_skipped_total")),
      term("refused", "lost", of("orzo_statsd_dropped_total")),
    ]),
    account("Samples", "of those lines", of("orzo_statsd_samples_total"), [
      term("stored", "kept", of("orzo_samples_applied_total")),
      term("on their way", "pending", inFlight(scrape)),
      term("refused", "lost", of("orzo_samples_dropped_total")),
    ]),
    account("Measures over HTTP", "posted", of("orzo_measures_accepted_total") + of("orzo_measures_refused_total"), [
      term("stored", "kept", of("orzo_measures_accepted_total")),
      term("older than their window", "lost", of("orzo_measures_refused_total")),
    ]),
  ];
}

/** Between listeners and shards, and in shards before the next commit. */
function inFlight(scrape: Scrape): number {
  const handed = total(scrape, "orzo_statsd_samples_total") - total(scrape, "orzo_samples_received_total");
  return total(scrape, "orzo_samples_pending") + Math.max(0, handed);
}

/** Everything that is lost. */
export function lost(list: Account[]): number {
  return list.flatMap((one) => one.parts).reduce((sum, part) => sum + (part.kind === "lost" ? part.value : 0), 0);
}

export interface Loss {
  /** Of what. */
  what: string;
  reason: string;
  count: number;
  advice: string;
}

/** Losses that happened, by reason, most first. */
export function losses(scrape: Scrape): Loss[] {
  const of = (what: string, name: string): Loss[] =>
    [...by(scrape, name, "reason")].map(([reason, count]) => ({ what, reason, count, advice: ADVICE[reason] ?? "" }));
  const kernel = total(scrape, "orzo_statsd_kernel_drops_total");
  const old = total(scrape, "orzo_measures_refused_total");
  const all = [
    { what: "datagrams", reason: "kernel_buffer", count: kernel, advice: ADVICE.kernel_buffer ?? "" },
    ...of("lines", "orzo_statsd_dropped_total"),
    ...of("samples", "orzo_samples_dropped_total"),
    { what: "measures", reason: "too_old", count: old, advice: ADVICE.too_old ?? "" },
  ];
  return all.filter((loss) => loss.count > 0).sort((a, b) => b.count - a.count);
}

/** What a reason means, and what to do about it. */
export const ADVICE: Record<string, string> = {
  kernel_buffer:
    "The receive buffer was full. Raise net.core.rmem_max and statsd.receive_buffer_bytes, or give the listeners more CPU.",
  no_colon: "No “:” between name and value. Look at what the client sends.",
  empty_name: "Nothing before the “:”.",
  no_type: "No “|” and type behind the value.",
  bad_type: "The type is none of c, g, ms, h, d, s.",
  bad_value: "The value is not a number.",
  negative_timer: "A timer below zero: the client's clock went backwards.",
  bad_rate: "The sample rate is not a number above 0 and up to 1.",
  bad_timestamp: "The timestamp behind |T is not a time.",
  bad_event: "A DogStatsD event whose lengths do not fit.",
  bad_service_check: "A DogStatsD service check that cannot be read.",
  bad_utf8: "The name is not UTF-8.",
  oversized: "A line longer than a listener takes; over TCP, mostly one without an end.",
  name_too_long: "Name and tags together are too long.",
  too_many_tags: "More tags on one line than are taken.",
  shutting_down: "The daemon was being stopped.",
  too_old: "Older than the window that the archive policy keeps open. Raise its back_window, or send sooner.",
  too_far_ahead: "Dated further into the future than statsd.max_future. Look at the clocks of the clients.",
  series_limit: "A new name past the limit of series. Raise statsd.max_series, or find what makes so many names.",
  prefix_limit: "A new name past the limit of series of its prefix. The prefixes refused most are named below.",
  series_rate: "More new series at once than may be made in a second. Names that change with each line are the usual cause.",
  prefix_rate: "More new series of one prefix at once than may be made in a second. The prefixes refused most are named below.",
  no_policy: "No archive policy fits the name. Make one, or a rule that names one.",
  bad_resource: "The tag that names the resource cannot be its id.",
  metric_deleted: "The metric was deleted while samples for it were on their way.",
  set_full: "A set had more different values in one interval than it counts.",
  store_failed: "The store refused to write. Look at the log and at the disk.",
  names_pending: "More new names at once than the index could take up.",
};

/** Change a second of a number that only grows; `null` without an earlier one, or after a restart. */
export function perSecond(now: number, before: number | undefined, seconds: number): number | null {
  if (before === undefined || seconds <= 0 || now < before) return null;
  return (now - before) / seconds;
}
