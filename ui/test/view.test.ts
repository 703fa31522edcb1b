import assert from "node:assert/strict";
import { test } from "node:test";
import { between, interval, pan, zoom } from "../src/range.ts";
import { fromQuery, START, toQuery, type View } from "../src/view.ts";

const ID = "653a564c-e1e8-41ec-8298-05edd4352095";

test("the address of the start is empty", () => {
  assert.equal(toQuery(START), "");
  assert.deepEqual(fromQuery(""), START);
});

test("a view comes back from its address", () => {
  const view: View = {
    page: "explore",
    search: 'cpu host="a b"&x',
    type: "instance",
    chosen: [{ id: ID, method: "rate:mean" }, { id: ID, method: "95pct" }],
    range: { from: 1000, to: 2000 },
    width: 0.5,
    fill: "hold",
    apart: true,
    live: false,
    by: "flavor",
    across: "max",
  };
  assert.deepEqual(fromQuery(toQuery(view)), view);
  assert.deepEqual(fromQuery(toQuery({ ...view, range: { last: 900 } })).range, { last: 900 });
});

test("what cannot be read is as at the start", () => {
  assert.deepEqual(fromQuery("?page=x&m=nonsense&m=" + ID + ".<b>&last=-1&from=9&to=3&width=x&fill=x&across=x"), START);
});

test("ranges move, and catch up with the clock", () => {
  assert.deepEqual(interval({ last: 60 }, 1000), { from: 940, to: 1000 });
  assert.deepEqual(pan({ last: 100 }, -0.5, 1000), { from: 850, to: 950 });
  assert.deepEqual(pan({ from: 850, to: 950 }, 0.5, 1000), { last: 100 });
  assert.deepEqual(zoom({ last: 100 }, 2, 1000), { last: 200 });
  assert.deepEqual(zoom({ from: 100, to: 200 }, 0.5, 1000), { from: 125, to: 175 });
  assert.deepEqual(zoom({ last: 20 }, 0.1, 1000), { last: 10 });
  assert.deepEqual(between(20.4, 10.6), { from: 10, to: 21 });
});
