// Run with TZ=Europe/Rome, as scripts/ui does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ageText, axisLabels, instantText, intervalText, zoneText } from "../src/times.ts";

const at = (text: string): number => Date.parse(text) / 1000;

test("instants are told in the zone of whoever looks", () => {
  assert.equal(instantText(at("2026-01-02T22:30:05Z")), "2 Jan, 23:30:05");
  assert.equal(instantText(at("2026-07-02T22:30:05Z"), 60), "3 Jul, 00:30");
  assert.equal(instantText(at("2026-01-02T23:30:00Z"), 86_400), "3 Jan 2026");
});

test("what both ends share is said once", () => {
  assert.equal(intervalText(at("2026-01-02T10:00:00Z"), at("2026-01-02T11:00:00Z")), "2 Jan, 11:00 – 12:00");
  assert.equal(intervalText(at("2026-01-02T22:00:00Z"), at("2026-01-03T11:00:00Z")), "2 Jan, 23:00 – 3 Jan, 12:00");
});

test("an axis names the day where it changes", () => {
  const ticks = [at("2026-01-02T22:00:00Z"), at("2026-01-02T23:00:00Z"), at("2026-01-03T00:00:00Z")];
  assert.deepEqual(axisLabels(ticks, 3600), ["23:00", "00:00\n3 Jan", "01:00"]);
  assert.deepEqual(axisLabels(ticks.slice(0, 1), 10), ["23:00:00"]);
  assert.deepEqual(axisLabels(ticks.slice(0, 1), 86_400), ["2 Jan"]);
});

test("the zone follows the season", () => {
  assert.equal(zoneText(new Date("2026-01-02T00:00:00Z")), "Europe/Rome, UTC+1");
  assert.equal(zoneText(new Date("2026-07-02T00:00:00Z")), "Europe/Rome, UTC+2");
});

test("ages have one unit", () => {
  assert.deepEqual([0.25, 42, 600, 7200, 200_000].map(ageText), ["0.3 s", "42 s", "10 min", "2 h", "2 d"]);
});
