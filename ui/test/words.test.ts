import assert from "node:assert/strict";
import { test } from "node:test";
import { literalGlob, matches, parseSearch } from "../src/words.ts";

test("words and conditions are told apart", () => {
  assert.deepEqual(parseSearch("CPU util"), { words: ["cpu", "util"], filter: null });
  assert.deepEqual(parseSearch("cpu host=web1"), { words: ["cpu"], filter: { "=": { host: "web1" } } });
  assert.deepEqual(parseSearch('host="web 1" flavor!=small').filter, {
    and: [{ "=": { host: "web 1" } }, { "!=": { flavor: "small" } }],
  });
  assert.deepEqual(parseSearch('"two words"').words, ["two words"]);
  assert.deepEqual(parseSearch(""), { words: [], filter: null });
});

test("patterns have their own signs escaped", () => {
  assert.deepEqual(parseSearch("host~web_*").filter, { like: { host: "web\\_%" } });
});

test("values have the type of their attribute", () => {
  const types = { cores: "number", on: "bool", host: "string" };
  assert.deepEqual(parseSearch("cores>=4", types).filter, { ">=": { cores: 4 } });
  assert.deepEqual(parseSearch("on=true", types).filter, { "=": { on: true } });
  assert.deepEqual(parseSearch("host=4", types).filter, { "=": { host: "4" } });
  assert.deepEqual(parseSearch("ended_at=").filter, { "=": { ended_at: null } });
});

test("all words must stand in the text", () => {
  assert.ok(matches(["cpu", "web"], "web-1 CPU.util"));
  assert.ok(!matches(["cpu", "db"], "web-1 cpu.util"));
});

test("a literal name matches itself only", () => {
  assert.equal(literalGlob("a[0]*?"), "a[[]0][*][?]");
});
