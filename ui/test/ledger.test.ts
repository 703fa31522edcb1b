import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { by, largest, parseScrape, total } from "../src/exposition.ts";
import { accounts, ADVICE, losses, lost, perSecond } from "../src/ledger.ts";

const TEXT = `# HELP orzo_statsd_datagrams_total Datagrams received.
# TYPE orzo_statsd_datagrams_total counter
orzo_statsd_datagrams_total{listener="0"} 90
orzo_statsd_datagrams_total{listener="1"} 5
orzo_statsd_kernel_drops_total{listener="0"} 5
orzo_statsd_lines_total{listener="0"} 100
orzo_statsd_accepted_total{listener="0",type="c"} 90
orzo_statsd_skipped_total{listener="0",kind="event"} 1
orzo_statsd_dropped_total{listener="0",reason="no_colon"} 7
orzo_statsd_dropped_total{listener="0",reason="bad_value"} 2
orzo_statsd_samples_total{listener="0"} 90
orzo_samples_received_total{shard="0"} 80
orzo_samples_applied_total{shard="0"} 70
orzo_samples_pending{shard="0"} 4
orzo_samples_dropped_total{shard="0",reason="too_old"} 6
odd{text="a \\"b\\" \\\\ c"} 1.5e3
`;

test("scrapes are read", () => {
  const scrape = parseScrape(TEXT);
  assert.equal(total(scrape, "orzo_statsd_datagrams_total"), 95);
  assert.equal(total(scrape, "orzo_statsd_datagrams_total", { listener: "1" }), 5);
  assert.equal(largest(scrape, "orzo_statsd_datagrams_total"), 90);
  assert.equal(scrape.get("orzo_statsd_datagrams_total")?.help, "Datagrams received.");
  assert.deepEqual(scrape.get("odd")?.samples[0], { labels: { text: 'a "b" \\ c' }, value: 1500 });
  assert.deepEqual([...by(scrape, "orzo_statsd_dropped_total", "reason")], [["no_colon", 7], ["bad_value", 2]]);
});

test("accounts add up, with what is on its way", () => {
  const list = accounts(parseScrape(TEXT));
  assert.deepEqual(list.map(({ title, whole, missing }) => [title, whole.value, missing]), [
    ["Datagrams", 100, 0],
    ["Lines", 100, 0],
    ["Samples", 90, 0],
    ["Measures over HTTP", 0, 0],
  ]);
  assert.equal(lost(list), 5 + 9 + 6);
});

test("losses are listed by reason, most first", () => {
  const list = losses(parseScrape(TEXT));
  assert.deepEqual(list.map(({ reason, count }) => [reason, count]), [["no_colon", 7], ["too_old", 6], ["kernel_buffer", 5], ["bad_value", 2]]);
  assert.ok(list.every((loss) => loss.advice !== ""));
});

test("every reason of the documentation has advice", () => {
  const page = readFileSync("docs/metrics.md", "utf8");
  const reasons = [...(page.split("## Reasons")[1] ?? "").matchAll(/`([a-z_0-9]+)`/g)].map(([, reason]) => reason ?? "");
  assert.ok(reasons.length > 20);
  assert.deepEqual(reasons.filter((reason) => !(reason in ADVICE)), []);
});

test("rates need two looks at one daemon", () => {
  assert.equal(perSecond(30, 10, 2), 10);
  assert.equal(perSecond(30, undefined, 2), null);
  assert.equal(perSecond(5, 10, 2), null);
});
