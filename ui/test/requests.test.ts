import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { listing, usualMethod } from "../src/catalogue.ts";
import type { Resource } from "../src/documents.ts";
import { curlLine, target } from "../src/requests.ts";

test("a curl line survives the shell", () => {
  const body = { search: "it's", operations: ["metric", "a b", "mean"] };
  const line = curlLine({ method: "POST", path: "/v1/aggregates", query: [["by", "a&b c"]], body }, "http://h:1", { user: "o'hara" });
  const words = execFileSync("sh", ["-c", line.replace(/^curl/, "printf '%s\\n'")], { encoding: "utf8" }).trimEnd().split("\n");
  assert.deepEqual(words, ["-s", "-u", "o'hara:", "-H", "Content-Type: application/json", "-d", JSON.stringify(body),
    "http://h:1/v1/aggregates?by=a%26b+c"]);
});

test("nothing is asked of who needs nothing", () => {
  assert.equal(curlLine({ method: "GET", path: "/v1/" }, "http://h", null), "curl -s 'http://h/v1/'");
  assert.equal(target({ method: "GET", path: "/v1/metric", query: [] }), "/v1/metric");
});

const resource = (name: string, metrics: string[], more: object = {}): Resource =>
  ({ id: name, original_resource_id: name, type: "t", metrics: Object.fromEntries(metrics.map((one) => [one, `${name}/${one}`])), ...more });

test("listings sort by number, narrow by words and say what is left out", () => {
  const resources = [resource("web-10", ["cpu", "mem"]), resource("web-2", ["cpu"], { flavor: "large" }), resource("db", [])];
  const all = listing(resources, [], [], 10);
  assert.deepEqual(all.found.map((found) => found.resource?.id), ["web-2", "web-10"]);
  assert.deepEqual(listing(resources, [], ["cpu", "10"], 10).found[0]?.metrics, [{ id: "web-10/cpu", name: "cpu" }]);
  assert.equal(listing(resources, [], ["large"], 10).metrics, 1);
  assert.deepEqual([listing(resources, [], [], 2).metrics, listing(resources, [], [], 2).more], [3, 1]);
});

test("the method that most people mean comes first", () => {
  assert.equal(usualMethod(["sum", "mean"]), "mean");
  assert.equal(usualMethod(["99pct"]), "99pct");
});
