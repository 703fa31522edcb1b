import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "../src/documents.ts";
import { commonWidths, parseSpan, spanText, suitableWidth, widths } from "../src/spans.ts";

const policy = (...items: [granularity: string, timespan: string | null][]): Policy => ({
  name: "p",
  aggregation_methods: ["mean"],
  definition: items.map(([granularity, timespan]) => ({ granularity, timespan, points: null })),
});

test("spans are read as the API writes them", () => {
  assert.equal(parseSpan("0:00:10"), 10);
  assert.equal(parseSpan("1 day, 0:05:00"), 86_700);
  assert.equal(parseSpan("365 days, 0:00:00"), 31_536_000);
  assert.equal(parseSpan("0:00:03.600000"), 3.6);
  assert.ok(Number.isNaN(parseSpan("5m")));
});

test("spans read like people say them", () => {
  for (const [seconds, text] of [[10, "10 s"], [60, "1 min"], [90, "90 s"], [3600, "1 h"], [86_400, "1 d"], [0.2, "200 ms"]] as const) {
    assert.equal(spanText(seconds), text);
  }
});

test("only widths that all have are common, kept as long as the shortest", () => {
  const a = policy(["0:01:00", "7 days, 0:00:00"], ["0:00:10", "6:00:00"]);
  const b = policy(["0:01:00", "1 day, 0:00:00"], ["1:00:00", null]);
  assert.deepEqual(widths(a).map((width) => width.seconds), [10, 60]);
  assert.deepEqual(commonWidths([a, b]), [{ seconds: 60, kept: 86_400 }]);
  assert.deepEqual(commonWidths([a, policy(["0:00:01", null])]), []);
  assert.deepEqual(commonWidths([]), []);
});

test("the width suits the range, and what is still kept", () => {
  const list = widths(policy(["0:00:10", "6:00:00"], ["0:01:00", "7 days, 0:00:00"], ["1:00:00", "365 days, 0:00:00"]));
  const hour = 3600;
  assert.equal(suitableWidth(list, hour, hour, 800), 10);
  assert.equal(suitableWidth(list, hour, hour, 100), 60);
  assert.equal(suitableWidth(list, hour, 24 * hour, 800), 60);
  assert.equal(suitableWidth(list, 7 * 24 * hour, 7 * 24 * hour, 800), hour);
  assert.equal(suitableWidth(list, 24 * hour, 4000 * 24 * hour, 800), hour);
  assert.equal(suitableWidth([], hour, hour, 800), null);
});
