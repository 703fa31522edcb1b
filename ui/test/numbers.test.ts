import assert from "node:assert/strict";
import { test } from "node:test";
import { axisRange, countText, keepsUnit, rateText, valueText } from "../src/numbers.ts";

test("values carry prefixes and units", () => {
  const cases: [number | null, string | null, string][] = [
    [0, null, "0"],
    [3, null, "3"],
    [-0.5, "%", "−0.5 %"],
    [1236.4, null, "1.236 k"],
    [999_960, null, "1 M"],
    [2 ** 31, "B", "2 GiB"],
    [1536, "bytes", "1.5 KiB"],
    [2, "ms", "2 ms"],
    [1500, "ms", "1.5 s"],
    [90, "s", "1.5 min"],
    [0.00002, "s", "20 µs"],
    [0.00002, null, "2.0e−5"],
    [null, "B", "–"],
    [NaN, null, "–"],
    [Infinity, null, "∞"],
  ];
  for (const [value, unit, text] of cases) assert.equal(valueText(value, unit), text);
});

test("counts are written in full", () => {
  assert.equal(countText(1_234_567), "1\u202f234\u202f567");
  assert.equal(countText(12), "12");
});

test("rates are a second", () => {
  assert.equal(rateText(1530, "B"), "1.49 KiB/s");
  assert.equal(rateText(null), "–");
});

test("a count of milliseconds is not milliseconds", () => {
  assert.ok(!keepsUnit("count") && !keepsUnit("rate:count"));
  assert.ok(keepsUnit("mean") && keepsUnit("95pct"));
});

test("an axis starts at zero unless that would flatten the line", () => {
  assert.equal(axisRange(1, 10)[0], 0);
  assert.ok(axisRange(990, 1000)[0] > 900);
  assert.deepEqual(axisRange(0, 0), [0, 1]);
  assert.equal(axisRange(5, 5)[0], 0);
  assert.equal(axisRange(-10, -1)[1], 0);
  const [low, high] = axisRange(-5, 10);
  assert.ok(low < -5 && high > 10);
  assert.deepEqual(axisRange(Infinity, -Infinity), [0, 1]);
});
