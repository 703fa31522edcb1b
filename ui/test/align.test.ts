import assert from "node:assert/strict";
import { test } from "node:test";
import { align, alone, summary, valueAt, type Fill } from "../src/align.ts";
import type { Measure } from "../src/documents.ts";

const at = (seconds: number, value: number | null): Measure => [new Date(seconds * 1000).toISOString(), 10, value];

test("buckets without a measure are filled as asked", () => {
  const line = { width: 10, measures: [at(10, 1), at(30, 3)] };
  const filled = (fill: Fill) => align([line], 0, 45, fill).columns[0];
  assert.deepEqual(align([line], 0, 45, "gap").times, [0, 10, 20, 30, 40]);
  assert.deepEqual(filled("gap"), [null, 1, null, 3, null]);
  assert.deepEqual(filled("zero"), [0, 1, 0, 3, 0]);
  assert.deepEqual(filled("hold"), [null, 1, 1, 3, 3]);
  assert.deepEqual(filled("join"), [undefined, 1, undefined, 3, undefined]);
});

test("the bucket that holds the start is shown", () => {
  assert.deepEqual(align([{ width: 60, measures: [] }], 90, 130, "gap").times, [60, 120]);
});

test("lines of other widths have cells at their own starts only", () => {
  const { times, columns } = align([{ width: 10, measures: [] }, { width: 20, measures: [at(20, 2)] }], 0, 30, "gap");
  assert.deepEqual(times, [0, 10, 20, 30]);
  assert.deepEqual(columns[1], [null, undefined, 2, undefined]);
});

test("values between gaps are found", () => {
  assert.deepEqual(alone([1, null, 2, undefined, null, 3, 4, undefined, 5, null]), [0, 2]);
  assert.deepEqual(alone([null, undefined, 7]), [2]);
  assert.deepEqual(alone([]), []);
});

test("sums are of what is there", () => {
  assert.deepEqual(summary([null, 1, undefined, 3, null]), { last: 3, min: 1, mean: 2, max: 3 });
  assert.deepEqual(summary([null]), { last: null, min: null, mean: null, max: null });
});

test("between its starts a coarse line has the value before", () => {
  assert.equal(valueAt([2, undefined, 5], 1), 2);
  assert.equal(valueAt([2, null, 5], 1), null);
  assert.equal(valueAt([undefined], 0), null);
});
